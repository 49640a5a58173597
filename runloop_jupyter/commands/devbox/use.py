"""`%devbox use`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done, Listing, devbox_listing
from ...resources.devboxes import DevboxInfo, live, unavailable
from ..option_groups import DevboxArgument, add_devbox_argument
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(DevboxArgument):
    """The options of `%devbox use`."""


def parser() -> Parser[Options]:
    """The parser of `%devbox use`."""
    made = Parser(
        Options,
        "%devbox use",
        "Choose the devbox that the next cells run on; without a name the one that this notebook used last.",
    )
    add_devbox_argument(made)
    return made.explain(
        ("by name, by id, or by the beginning of either", "%devbox use lab"),
        ("after a restart of the kernel: the one that this notebook used last", "%devbox use"),
        returns=(
            "The devbox, as a sentence with its fields; the table of all devboxes where there is none to go on with."
        ),
        mistakes=[
            "A name that several devboxes share lists their ids: type one of those.",
            (
                "One that has been shut down or has failed is refused; one that is suspended is chosen, and "
                "%devbox resume wakes it."
            ),
        ],
    )


async def run(session: Session, options: Options) -> Done[DevboxInfo] | Listing[DevboxInfo]:
    """Choose a devbox that has not ended; a table of all where there is none to go on with."""
    devbox = await session.find(options.devbox) if options.devbox else await session.last_used()
    if devbox is None:
        return await _offer(session)
    error = unavailable(devbox)
    if error is not None and not devbox.alive:
        raise error
    session.choose(devbox)
    return Done(_said(devbox, found_again=not options.devbox), devbox)


def _said(devbox: DevboxInfo, *, found_again: bool) -> str:
    why = ", which this notebook used last" if found_again else ""
    text = f"Using {devbox.label}{why}: it is {devbox.status}."
    return f"{text} Wake it: %devbox resume" if devbox.status == "suspended" else text


async def _offer(session: Session) -> Listing[DevboxInfo]:
    devboxes = await session.ownerships.described(await live(await session.client.sdk()))
    session.names.keep("devbox", [each.known_as for each in devboxes])
    note = "This notebook has used none of them lately: choose one, %devbox use NAME." if devboxes else ""
    return devbox_listing(devboxes, current=session.current.id if session.current else None, note=note)
