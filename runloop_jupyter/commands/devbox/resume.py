"""`%devbox resume`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ...operations.lifecycle import resume
from ...output.progress import progress
from ...rendering import Done
from ...text.durations import spell_duration
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser
from ..progress_observer import ProgressObserver

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox resume`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox resume`."""
    made = Parser(Options, "%devbox resume", "Start a suspended devbox again and make it the current one.")
    made.shows_progress = True
    add_devbox_argument(made)
    return made.explain(
        ("the current devbox", "%devbox resume"),
        ("another, which is the current one then", "%devbox resume web"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "One that runs already is not an error.",
            (
                "One that has been shut down cannot be resumed: %runloop snapshot restore makes a new one of a "
                "disk that was kept."
            ),
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Resume the devbox, and wait until it runs."""
    devbox = await session.find(options.devbox)
    if devbox.status == "running":
        session.choose(devbox)
        return Done(f"{devbox.label} is running already, and the current devbox.", devbox)
    started = time.monotonic()
    async with progress(f"resuming {devbox.short}") as made:
        resumed = await resume(session, devbox, ProgressObserver(made))
    took = spell_duration(time.monotonic() - started)
    return Done(f"Resumed {resumed.label} in {took}: it is running and the current devbox.", resumed)
