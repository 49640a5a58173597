"""`%runloop blueprint prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.kinds.blueprint import BLUEPRINT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(removing.PruneOptions):
    """The options of `%runloop blueprint prune`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint prune`."""
    return removing.pruning_parser(
        Options, BLUEPRINT, "Delete failed builds and those that newer ones of the same name replace, after a question."
    ).explain(
        ("what would go", "%runloop blueprint prune --dry-run"),
        ("delete it without the question", "%runloop blueprint prune --yes"),
        returns="A sentence; its `.item` has the blueprints.",
        mistakes=[
            "Where nobody can answer the question it needs --yes.",
            "Those that cannot be deleted are named; the others are deleted all the same.",
        ],
    )


async def run(session: Session, options: Options) -> Done[object]:
    """List what can go, ask, and delete it."""
    blueprints = await BLUEPRINT.all(await session.client.sdk())
    return await removing.prune(session, BLUEPRINT, blueprints, options)
