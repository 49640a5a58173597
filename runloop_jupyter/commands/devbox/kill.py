"""`%devbox kill`."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from ...executions.known import find_execution
from ...text.quoting import printable
from ..parser import Parser, add_on_option

if TYPE_CHECKING:
    from ...executions.run import CommandRun
    from ...session import Session


class Killed:
    """What was killed: shows as one line for each command."""

    def __init__(self, runs: list[CommandRun]) -> None:
        self.ids = [run.execution.execution_id for run in runs]
        self._lines = [_line(run) for run in runs]

    def __repr__(self) -> str:
        return "\n".join(self._lines)


def parser() -> Parser:
    """The options of `%devbox kill`."""
    made = Parser("%devbox kill", "Kill commands with all that they started; %runloop executions lists what runs.")
    made.add_name("execution", "execution", metavar="ID", nargs="+", help="executions' ids, or their beginnings")
    add_on_option(made, "the devbox they run on, if no kernel of yours started them")
    return made.explain(
        ("one or several, by the beginnings of their ids", "%devbox kill exec_3f exec_40"),
        ("one that no kernel of yours started", "%devbox kill exec_3fa9 --on web"),
        returns="What was killed, a line for each; `.ids` has their ids.",
        mistakes=[
            "All ids are looked up first, so that a mistyped one kills none.",
            "An id of none that runs is named: %runloop executions shows those that do.",
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Killed:
    """Kill them. All are looked up first, so that a mistyped id kills none."""
    found = [await find_execution(session, reference, args.on) for reference in args.execution]
    await asyncio.gather(*(each.kill() for each in found))
    return Killed(found)


def _line(run: CommandRun) -> str:
    title = f": {run.order.title}" if run.order.title else ""
    return f"Killed {printable(run.execution.execution_id)} on {run.devbox.short}{title}"
