"""`%runloop snapshot delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.snapshot import SNAPSHOT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.DeleteOptions):
    """The options of `%runloop snapshot delete`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot delete`."""
    return removing.deleting_parser(
        Options,
        SNAPSHOT,
        "Delete snapshots. Devboxes that started from them stay as they are.",
        "%runloop snapshot delete ready tested",
    )


async def run(session: Session, options: Options) -> Done[object]:
    """Delete the snapshots."""
    return await removing.delete(session, SNAPSHOT, options.names)
