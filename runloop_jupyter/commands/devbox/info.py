"""`%devbox info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Details, devbox_details
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from ...resources.devboxes import DevboxInfo
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox info`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox info`."""
    made = Parser(Options, "%devbox info", "Show one devbox in detail: the current one unless another is named.")
    add_devbox_argument(made)
    return made.explain(
        ("the current devbox", "%devbox info"),
        ("another, in Python", "box = %devbox info web\nbox.status"),
        returns=(
            "A card with the fields of the devbox as attributes, such as `.status`, `.size` and "
            "`.metadata`. It shows the devbox's history as a timeline."
        ),
        mistakes=[
            ("Without a name and without a current devbox it says how to choose one: %devbox use or %devbox create."),
        ],
    )


async def run(session: Session, options: Options) -> Details[DevboxInfo]:
    """A card of the devbox."""
    devbox = await session.find(options.devbox)
    (devbox,) = await session.ownerships.described([devbox])
    return devbox_details(devbox, await _used(session, devbox))


async def _used(session: Session, devbox: DevboxInfo) -> str:
    """The resources that the devbox has used so far, on one line."""
    from runloop_sdk import NotFoundError

    from ...rendering.cards import usage_rows

    try:
        usage = await (await session.client.sdk()).api.devboxes.retrieve_resource_usage(devbox.id)
    except NotFoundError:
        return ""  # not every service counts it
    if not usage.total_elapsed_seconds:
        return ""
    return ", ".join(f"{title} {text}" for title, text in usage_rows(usage))
