"""`%runloop object delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.storage_object import OBJECT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.DeleteOptions):
    """The options of `%runloop object delete`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop object delete`."""
    return removing.deleting_parser(Options, OBJECT, "Delete storage objects.", "%runloop object delete data.csv")


async def run(session: Session, options: Options) -> Done[object]:
    """Delete the objects."""
    return await removing.delete(session, OBJECT, options.names)
