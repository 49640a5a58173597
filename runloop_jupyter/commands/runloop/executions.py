"""`%runloop executions`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...executions.reattach import running_commands
from ...rendering import Listing, ago
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...executions.background import Background, Part
    from ...executions.reattach import RunningCommand
    from ...session import Session


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """One command as it was when looked at. `handle` is there if this kernel holds it in the background."""

    id: str
    devbox: str
    command: str
    state: str
    since: float
    handle: Background[object] | None = None


class Options(OptionGroup):
    """The options of `%runloop executions`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop executions`."""
    return Parser(
        Options,
        "%runloop executions",
        "Show the commands in the background of this kernel, and those of earlier kernels that still run.",
        "%devbox attach ID streams the output of one; %devbox kill ID ends it.",
    ).explain(
        ("what runs", "%runloop executions"),
        (
            "in Python: wait for all that this kernel started",
            "jobs = %runloop executions\nfor job in jobs:\n    job.handle and job.handle.wait()",
        ),
        returns=(
            "A sequence with `.id`, `.devbox`, `.command`, `.state` and, for those of this kernel, "
            "`.handle`, that shows as a table."
        ),
        mistakes=[
            "None is not an error: it says how to start one.",
        ],
    )


async def run(session: Session, options: Options) -> Listing[ExecutionInfo]:
    """A table of commands: those that this kernel started, newest first, then others that still run."""
    own = [_own(handle, part) for handle in reversed(session.executions) for part in handle.parts]
    known = {each.id for each in own}
    others = [_other(found) for found in await running_commands(session) if found.entry.execution_id not in known]
    columns = {
        "state": lambda each: each.state,
        "devbox": lambda each: each.devbox,
        "command": lambda each: each.command,
        "started": lambda each: ago(int(each.since * 1000)),
        "id": lambda each: each.id,
    }
    note = "Not attached: %devbox attach ID streams its output." if others else ""
    none = "No command runs in the background. Start one: %devbox exec --bg COMMAND"
    return Listing([*own, *others], columns, none=none, note=note)


def _own(handle: Background[object], part: Part) -> ExecutionInfo:
    since = time.time() - part.age
    return ExecutionInfo(part.execution_id, part.devbox, part.title, part.state, since, handle)


def _other(found: RunningCommand) -> ExecutionInfo:
    entry = found.entry
    return ExecutionInfo(entry.execution_id, found.devbox.short, entry.title, "● running, not attached", entry.started)
