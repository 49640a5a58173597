"""`%devbox logs`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...output.log_lines import LogLines, display_text
from ...output.progress import elapsed_status
from ...rendering.text import exact_clock
from ...resources.devboxes import by_id
from ..argument_types import number_of
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.logs import Log

    from ...resources.devboxes import DevboxInfo
    from ...session import Session

SOURCES = ("setup_commands", "entrypoint", "exec", "files", "stats", "kmsg")
_LOOK = 1.0  # seconds between two looks; the API has no stream of a devbox's logs


class Options(DevboxArgument):
    """The options of `%devbox logs`."""

    follow: bool
    tail: int | None
    source: str | None
    execution: str | None


def parser() -> Parser[Options]:
    """The parser of `%devbox logs`."""
    made = Parser(
        Options, "%devbox logs", "Show what happened in a devbox: its commands and what they printed, oldest first."
    )
    made.shows_output = True
    add_devbox_argument(made)
    made.add_argument("--follow", "-f", action="store_true", help="go on as more comes, until Stop or the devbox's end")
    made.add_argument("--tail", metavar="N", type=number_of("lines"), help="only the last lines")
    made.add_argument("--source", choices=SOURCES, metavar="SOURCE", help="only these: " + ", ".join(SOURCES))
    made.add_argument("--execution", metavar="ID", help="only those of one command")
    return made.explain(
        ("the current devbox", "%devbox logs"),
        ("the last 20 lines of what its start printed", "%devbox logs web --tail 20 --source setup_commands"),
        ("as it comes, until Stop", "%devbox logs -f"),
        returns="Nothing: it prints.",
        mistakes=[
            "A devbox without such logs says so.",
            "With -f, Stop ends the looking and leaves the devbox alone; it also ends when the devbox does.",
        ],
    )


async def run(session: Session, options: Options) -> None:
    """Print the devbox's logs."""
    from ...output.cell_output import CellOutput

    devbox = await session.find(options.devbox)
    async with CellOutput(whole="--tail N shows the last of it") as output:
        output.status(elapsed_status(f"following {devbox.short} {{}} — Stop stops looking") if options.follow else "")
        seen = LogLines()
        lines = seen.new(await _lines(session, devbox, options))
        shown = lines[-options.tail :] if options.tail else lines
        output.write("stdout", _text(shown))
        if not shown and not options.follow:
            narrowed = options.source or options.execution
            output.write("stdout", f"{devbox.label} has no logs {'that match' if narrowed else 'yet'}.\n")
        while options.follow and await _lives(session, devbox):
            await asyncio.sleep(_LOOK)
            output.write("stdout", _text(seen.new(await _lines(session, devbox, options))))


async def _lines(session: Session, devbox: DevboxInfo, options: Options) -> list[Log]:
    view = await (await session.client.sdk()).devbox.from_id(devbox.id).logs(execution_id=options.execution)
    return [line for line in view.logs if options.source in (None, line.source)]


async def _lives(session: Session, devbox: DevboxInfo) -> bool:
    found = await by_id(await session.client.sdk(), devbox.id)
    return found is not None and found.alive


def _text(lines: Sequence[Log]) -> str:
    return "".join(f"{exact_clock(line.timestamp_ms)} {line.source:<8} {display_text(line)}\n" for line in lines)
