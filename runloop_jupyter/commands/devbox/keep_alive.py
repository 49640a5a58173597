"""`%devbox keep-alive`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...operations.lifecycle import keep_alive
from ...rendering import Done
from ...resources.devboxes import unavailable
from ...text.durations import spell_duration
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox keep-alive`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox keep-alive`."""
    made = Parser(
        Options,
        "%devbox keep-alive",
        "Start a devbox's keep-alive time again.",
        "For devboxes that this kernel created, this happens by itself while the kernel lives.",
    )
    add_devbox_argument(made)
    return made.explain(
        ("the current devbox", "%devbox keep-alive"),
        ("one that another kernel made with --keep", "%devbox keep-alive web"),
        returns="A sentence about what was done, with the fields of the devbox: `.id`, `.name`, `.status`.",
        mistakes=[
            "One that does not run is refused, and how to wake it is said.",
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo]:
    """Start the keep-alive time again, and say how long the devbox lives now."""
    devbox = await session.find(options.devbox)
    error = unavailable(devbox)
    if error is not None:
        raise error
    await keep_alive(session, devbox)
    return Done(f"{devbox.label} is kept alive{_how_long(session, devbox)}.", devbox)


def _how_long(session: Session, devbox: DevboxInfo) -> str:
    if session.owned.is_held_alive(devbox.id):
        return " while this kernel lives"
    return f" for {spell_duration(devbox.keep_alive)} from now" if devbox.keep_alive else ""
