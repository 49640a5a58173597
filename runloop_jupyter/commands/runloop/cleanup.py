"""`%runloop cleanup`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...operations.lifecycle import shut_down_all
from ...rendering import Listing, devbox_listing
from ...resources.devboxes import DevboxInfo, by_id
from ..devbox.shutdown import confirm_shutdown
from ..option_groups import YesOption, add_yes_option
from ..parser import Parser

if TYPE_CHECKING:
    from ...session import Session


class Options(YesOption):
    """The options of `%runloop cleanup`."""

    kept: bool
    dead: bool
    dry_run: bool


def parser() -> Parser[Options]:
    """The parser of `%runloop cleanup`."""
    made = Parser(
        Options,
        "%runloop cleanup",
        "Shut down the devboxes that this kernel and dead kernels of yours created, after showing them and asking.",
        "Kernels that still run keep theirs.",
    )
    made.add_argument("--kept", action="store_true", help="also those that were created with --keep")
    made.add_argument("--dead", action="store_true", help="only those of dead kernels")
    made.add_argument("--dry-run", action="store_true", help="only show them")
    add_yes_option(made)
    return made.explain(
        ("show what would be shut down", "%runloop cleanup --dry-run"),
        ("what dead kernels left, without the question", "%runloop cleanup --dead --yes"),
        returns="The table of devboxes that were shut down.",
        mistakes=[
            "Where nobody can answer the question it needs --yes.",
            "Nothing to clean up is not an error.",
        ],
    )


async def run(session: Session, options: Options) -> Listing[DevboxInfo]:
    """Show the devboxes that were left behind, ask, and shut them down."""
    left = await _left(session, options)
    if not left or options.dry_run:
        return devbox_listing(left, current=_current(session), none="Nothing is left to clean up.")
    if not options.yes and not await confirm_shutdown(session, left):
        return devbox_listing((), none="Nothing was shut down.")
    ended = await shut_down_all(session, left)
    return devbox_listing(ended, note=f"Shut down {len(ended)}.")


async def _left(session: Session, options: Options) -> list[DevboxInfo]:
    sdk = await session.client.sdk()
    dead = [entry.devbox_id for entry in await session.remembered() if entry.made and (options.kept or not entry.keep)]
    own = (
        []
        if options.dead
        else [each for each in session.owned if options.kept or not session.owned.outlives_kernel(each)]
    )
    ids = dict.fromkeys([*own, *dead])
    found = await asyncio.gather(*(by_id(sdk, devbox_id) for devbox_id in ids))
    for devbox_id, box in zip(ids, found, strict=True):
        if box is None or not box.alive:
            session.kernel_registry.forget(devbox_id)
    return await session.ownerships.described([devbox for devbox in found if devbox is not None and devbox.alive])


def _current(session: Session) -> str | None:
    return session.current.id if session.current else None
