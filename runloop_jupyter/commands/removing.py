"""Delete and prune, for all kinds of resources: look everything up, ask, remove, say what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ..errors import RemoteError
from ..kernel.prompts import confirm
from ..rendering import Done
from ..resources.lookup import Kind, Named, label, plural, short
from .option_groups import YesOption, add_yes_option
from .parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..session import Session

V = TypeVar("V", bound=Named)
Remove = Callable[["AsyncRunloopSDK", V], Awaitable[object]]
_AT_ONCE = 16
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class DeleteOptions:
    """Options of a `delete`: the resources to delete, by name or id."""

    __slots__ = ()
    names: Sequence[str]


D = TypeVar("D", bound=DeleteOptions)


def deleting_parser(
    options: type[D], kind: Kind[V], description: str, example: str, mistakes: Sequence[str] = ()
) -> Parser[D]:
    """The parser of a `delete`."""
    made = Parser(options, f"%runloop {kind.noun} delete", description)
    made.add_name(kind.noun, "names", metavar="NAME|ID", nargs="+", help=f"a {kind.word}'s name or id")
    return made.explain(
        ("by name or by id", example),
        returns="A sentence about what was done; its `.item` is what was deleted, a tuple where that is several.",
        mistakes=["All names are looked up first, so that a mistyped one deletes none.", *mistakes],
    )


@dataclass(frozen=True, kw_only=True)
class PruneOptions(YesOption):
    """Options of a `prune`: --dry-run only says what would be deleted."""

    __slots__ = ()
    dry_run: bool


P = TypeVar("P", bound=PruneOptions)


def pruning_parser(options: type[P], kind: Kind[V], description: str) -> Parser[P]:
    """The parser of a `prune`, with the options that each has."""
    made = Parser(options, f"%runloop {kind.noun} prune", description)
    made.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    add_yes_option(made)
    return made


async def delete(session: Session, kind: Kind[V], references: Sequence[str], remove: Remove[V]) -> Done[object]:
    """Delete those that are named. All are looked up first, so that a mistyped name deletes none."""
    sdk = await session.sdk()
    found = {view.id: view for reference in references for view in [await kind.find(sdk, reference)]}
    selected = list(found.values())
    await _remove(session, kind, selected, remove)
    if len(selected) == 1:
        return Done(f"Deleted {kind.word} {label(selected[0])}.", selected[0])
    return Done(f"Deleted {len(selected)} {plural(kind.word)}: {', '.join(map(short, selected))}.", tuple(selected))


async def prune(
    session: Session, kind: Kind[V], selected: Sequence[V], remove: Remove[V], options: PruneOptions
) -> Done[object]:
    """Delete what a prune has found, after asking."""
    if not selected:
        return Done(f"There is no {kind.word} to prune.", ())
    for view in selected[:_SHOWN]:
        session.say(f"  {label(view)}")
    if len(selected) > _SHOWN:
        session.say(f"  … and {len(selected) - _SHOWN} more")
    counted = f"{len(selected)} {plural(kind.word) if len(selected) > 1 else kind.word}"
    if options.dry_run:
        return Done(f"Would delete {counted}.", tuple(selected))
    if not options.yes and not await confirm(
        f"Delete {counted}?", instead="Add --yes to delete them without a question."
    ):
        return Done("Nothing was deleted.", ())
    await _remove(session, kind, selected, remove)
    return Done(f"Deleted {counted}.", tuple(selected))


async def _remove(session: Session, kind: Kind[V], selected: Sequence[V], remove: Remove[V]) -> None:
    from runloop_sdk import RunloopError

    sdk, semaphore = await session.sdk(), asyncio.Semaphore(_AT_ONCE)
    failed: dict[str, RunloopError] = {}

    async def one(view: V) -> None:
        async with semaphore:
            try:
                await remove(sdk, view)
            except RunloopError as error:
                failed[label(view)] = error
            else:
                session.names.drop(kind.noun, short(view))

    await asyncio.gather(*map(one, selected))
    if failed and len(selected) == 1:
        raise next(iter(failed.values()))
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:3])
        raise RemoteError(f"{len(failed)} of {len(selected)} {plural(kind.word)} could not be deleted: {reasons}")
