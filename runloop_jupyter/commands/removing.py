"""Delete and prune, for all kinds of resources: look everything up, ask, remove, say what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import RemoteError
from ..kernel.prompts import confirm
from ..operations import removal
from ..rendering import Done
from ..resources.kind import Named, ResourceKind, label, short
from .option_groups import YesOption, add_yes_option
from .options import OptionGroup
from .parser import Parser

if TYPE_CHECKING:
    from ..session import Session

V = TypeVar("V", bound=Named)
_AT_ONCE = 16
_SHOWN = 20


class DeleteOptions(OptionGroup):
    """Options of a `delete`: the resources to delete, by name or id."""

    names: Sequence[str]


D = TypeVar("D", bound=DeleteOptions)


def deleting_parser(
    options: type[D], kind: ResourceKind[V], description: str, example: str, mistakes: Sequence[str] = ()
) -> Parser[D]:
    """The parser of a `delete`."""
    made = Parser(options, f"%runloop {kind.name} delete", description)
    made.add_name(kind.name, "names", metavar="NAME|ID", nargs="+", help=f"name or id of the {kind.singular}")
    return made.explain(
        ("by name or by id", example),
        returns="A sentence about what was done; its `.item` is what was deleted, a tuple where that is several.",
        mistakes=["All names are looked up first, so that a mistyped one deletes none.", *mistakes],
    )


class PruneOptions(YesOption):
    """Options of a `prune`: --dry-run only says what would be deleted."""

    dry_run: bool


P = TypeVar("P", bound=PruneOptions)


def pruning_parser(options: type[P], kind: ResourceKind[V], description: str) -> Parser[P]:
    """The parser of a `prune`, with the options that each has."""
    made = Parser(options, f"%runloop {kind.name} prune", description)
    made.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    add_yes_option(made)
    return made


async def delete(session: Session, kind: ResourceKind[V], references: Sequence[str]) -> Done[object]:
    """Delete those that are named. All are looked up first, so that a mistyped name deletes none."""
    sdk = await session.client.sdk()
    found = {view.id: view for reference in references for view in [await kind.find(sdk, reference)]}
    selected = list(found.values())
    await _remove(session, kind, selected)
    if len(selected) == 1:
        return Done(f"Deleted {kind.singular} {label(selected[0])}.", selected[0])
    return Done(f"Deleted {kind.counted(len(selected))}: {', '.join(map(short, selected))}.", tuple(selected))


async def prune(
    session: Session, kind: ResourceKind[V], views: Sequence[V], options: PruneOptions, *, keep: int = 1
) -> Done[object]:
    """Delete those of `views` that are of no more use, after asking; `keep` is how many stay of each group."""
    selected = _prunable(kind, views, keep)
    if not selected:
        return Done(f"There is no {kind.singular} to prune.", ())
    for view in selected[:_SHOWN]:
        session.say(f"  {label(view)}")
    if len(selected) > _SHOWN:
        session.say(f"  … and {len(selected) - _SHOWN} more")
    counted = kind.counted(len(selected))
    if options.dry_run:
        return Done(f"Would delete {counted}.", tuple(selected))
    if not options.yes and not await confirm(
        f"Delete {counted}?", instead="Add --yes to delete them without a question."
    ):
        return Done("Nothing was deleted.", ())
    await _remove(session, kind, selected)
    return Done(f"Deleted {counted}.", tuple(selected))


def _prunable(kind: ResourceKind[V], views: Sequence[V], keep: int) -> list[V]:
    """Return the views that the kind's rule chooses, which is made for rows."""
    by_id = {view.id: view for view in views}
    rows = (kind.row(view.model_dump()) for view in views)
    return [by_id[row[0]] for row in kind.prunable((row for row in rows if row is not None), keep)]


async def _remove(session: Session, kind: ResourceKind[V], selected: Sequence[V]) -> None:
    from runloop_sdk import RunloopError

    semaphore = asyncio.Semaphore(_AT_ONCE)
    failed: dict[str, RunloopError] = {}

    async def one(view: V) -> None:
        async with semaphore:
            try:
                await removal.delete(session, kind, view.id, view.name or "")
            except RunloopError as error:
                failed[label(view)] = error

    await asyncio.gather(*map(one, selected))
    if failed and len(selected) == 1:
        raise next(iter(failed.values()))
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:3])
        raise RemoteError(f"{len(failed)} of {kind.counted(len(selected))} could not be deleted: {reasons}")
