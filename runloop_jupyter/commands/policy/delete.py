"""`%runloop policy delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.network_policy import POLICY
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.DeleteOptions):
    """The options of `%runloop policy delete`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop policy delete`."""
    return removing.deleting_parser(Options, POLICY, "Delete network policies.", "%runloop policy delete offline")


async def run(session: Session, options: Options) -> Done[object]:
    """Delete the network policies."""
    return await removing.delete(session, POLICY, options.names)
