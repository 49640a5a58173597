"""`%devbox kill`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...executions.reattach import find_execution
from ...text.quoting import printable
from ..option_groups import OnOption, add_on_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...executions.run import CommandRun
    from ...session import Session


class Killed:
    """The commands that were killed; shows as a line for each."""

    def __init__(self, runs: list[CommandRun]) -> None:
        self.ids = [run.execution.execution_id for run in runs]
        self._lines = [_line(run) for run in runs]

    def __repr__(self) -> str:
        return "\n".join(self._lines)


class Options(OnOption):
    """The options of `%devbox kill`."""

    executions: Sequence[str]


def parser() -> Parser[Options]:
    """The parser of `%devbox kill`."""
    made = Parser(
        Options, "%devbox kill", "Kill commands with all that they started; %runloop executions lists what runs."
    )
    made.add_name("execution", "executions", metavar="ID", nargs="+", help="executions' ids, or their beginnings")
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


async def run(session: Session, options: Options) -> Killed:
    """Kill the commands. All ids are looked up first, so that a mistyped one kills none."""
    found = [await find_execution(session, reference, options.on) for reference in options.executions]
    await asyncio.gather(*(each.kill() for each in found))
    return Killed(found)


def _line(run: CommandRun) -> str:
    title = f": {run.spec.title}" if run.spec.title else ""
    return f"Killed {printable(run.execution.execution_id)} on {run.devbox.short}{title}"
