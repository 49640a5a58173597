"""`%runloop blueprint prune`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.lookup import BLUEPRINT
from .. import removing
from ..parser import Parser
from .delete import remove

if TYPE_CHECKING:
    from runloop_sdk.models.blueprints import BlueprintView

    from ...session import Session

_ENDED = ("build_complete", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
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
    selected = list(replaced(await BLUEPRINT.all(await session.sdk())))
    return await removing.prune(session, BLUEPRINT, selected, remove, options)


def replaced(newest_first: Iterable[BlueprintView]) -> Iterator[BlueprintView]:
    """Failed builds, and complete ones of a name that has a newer complete one."""
    kept = set()
    for view in newest_first:
        if view.status not in _ENDED:
            continue
        if view.status == "failed" or view.name in kept:
            yield view
        else:
            kept.add(view.name)
