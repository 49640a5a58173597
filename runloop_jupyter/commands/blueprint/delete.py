"""`%runloop blueprint delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.blueprint import BLUEPRINT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.DeleteOptions):
    """The options of `%runloop blueprint delete`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint delete`."""
    return removing.deleting_parser(
        Options,
        BLUEPRINT,
        "Delete blueprints that no snapshot depends on.",
        "%runloop blueprint delete science tools",
        mistakes=["One that snapshots depend on is refused by the service, which names the reason."],
    )


async def run(session: Session, options: Options) -> Done[object]:
    """Delete the blueprints."""
    return await removing.delete(session, BLUEPRINT, options.names)
