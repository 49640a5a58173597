"""`%runloop`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rendering import Overview, connection_lines, devbox_listing
from ...resources.devboxes import live
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from ...connection import Connection
    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop overview`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop overview`."""
    return Parser(
        Options, "%runloop overview", "Show what this notebook is connected to, its devboxes, and what can be typed."
    ).explain(
        ("the same, shorter", "%runloop"),
        returns="What is shown, as text and as a table.",
        mistakes=[
            "A service that cannot be reached is named; %runloop doctor looks for the reason.",
        ],
    )


async def run(session: Session, options: Options) -> Overview:
    """The connection of the notebook, its devboxes, and what can be typed."""
    sdk = await session.client.sdk()
    assert session.client.connection is not None
    devboxes = await session.ownerships.described(await live(sdk))
    session.names.keep("devbox", [each.known_as for each in devboxes])
    table = devbox_listing(devboxes, current=session.current.id if session.current else None)
    return Overview(_connection(session.client.connection), table, tuple(_lines()))


def _lines() -> Iterator[tuple[str, str]]:
    from .. import NOUNS, RUNLOOP

    yield from ((f"%devbox {verb}", summary) for verb, summary in NOUNS["devbox"].verbs.items())
    yield from ((f"{noun.typed} VERB", ", ".join(noun.verbs)) for word, noun in NOUNS.items() if word != "devbox")
    yield ("%runloop VERB", ", ".join(RUNLOOP.verbs))


def _connection(connection: Connection) -> tuple[str, ...]:
    hint = (
        ("Set RUNLOOP_API_KEY to use Runloop's cloud, or type %runloop connect cloud.",) if connection.embedded else ()
    )
    return (*connection_lines(connection), *hint)
