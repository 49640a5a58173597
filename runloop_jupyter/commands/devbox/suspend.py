"""`%devbox suspend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...operations.lifecycle import suspend
from ...output.progress import progress
from ...rendering import Done
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser
from ..progress_observer import ProgressObserver

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox suspend`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox suspend`."""
    made = Parser(
        Options, "%devbox suspend", "End a devbox's processes and keep its disk; %devbox resume starts it again."
    )
    made.shows_progress = True
    add_devbox_argument(made)
    return made.explain(
        ("the current devbox", "%devbox suspend"),
        ("another", "%devbox suspend web"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "One that is suspended already is not an error.",
            "Commands that run in it end; their cells say so.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Suspend the devbox, and wait until that is done."""
    devbox = await session.find(options.devbox)
    if devbox.status == "suspended":
        return Done(f"{devbox.label} is suspended already. Wake it: %devbox resume {devbox.reference}", devbox)
    async with progress(f"suspending {devbox.short}") as made:
        suspended = await suspend(session, devbox, ProgressObserver(made))
    text = f"Suspended {suspended.label}; its files are kept. Wake it: %devbox resume {devbox.reference}"
    return Done(text, suspended)
