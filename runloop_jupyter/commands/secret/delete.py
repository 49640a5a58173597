"""`%runloop secret delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.secret import SECRET
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.DeleteOptions):
    """The options of `%runloop secret delete`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop secret delete`."""
    return removing.deleting_parser(
        Options, SECRET, "Delete secrets. Devboxes that have them already keep them.", "%runloop secret delete my-token"
    )


async def run(session: Session, options: Options) -> Done[object]:
    """Delete the secrets."""
    return await removing.delete(session, SECRET, options.names)
