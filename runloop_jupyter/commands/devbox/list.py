"""`%devbox list`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Listing, devbox_listing
from ...resources.devboxes import LIVE, DevboxInfo, collect
from ...resources.ownership import told
from ..parser import LISTED, NONE_LISTED, Parser, add_limit_option, add_metadata_option

if TYPE_CHECKING:
    from runloop_sdk.params.devboxes import DevboxStatus

    from ...session import Session

_STATES = (*LIVE, "shutdown", "failure")
_LIMIT = 1000


def parser() -> Parser:
    """The options of `%devbox list`."""
    made = Parser("%devbox list", "Show the devboxes that run or can run again, newest first.")
    made.add_argument("--all", action="store_true", help="also those that have ended")
    made.add_argument("--status", choices=_STATES, metavar="STATE", help="only these: " + ", ".join(_STATES))
    made.add_argument("--mine", action="store_true", help="only those that this kernel created")
    made.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")
    add_metadata_option(made, "only those with this metadata")
    add_limit_option(made, "devboxes", _LIMIT)
    return made.explain(
        ("those that run or can run again", "%devbox list"),
        ("the newest 20 of all, ended ones too", "%devbox list --all --limit 20"),
        ("in Python, and as a data frame", "boxes = %devbox list --status running\nboxes.to_dataframe()"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
            "A mistyped --status names the ones that there are.",
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Listing[DevboxInfo]:
    """The table."""
    sdk = await session.sdk()
    found, more = await collect(sdk, _wanted(args), args.limit, args.search)
    if not args.search:
        session.names.keep("devbox", [each.known_as for each in found if each.alive])
    shown = await told(session, [each for each in found if _matches(session, args, each)])
    note = f"The newest {args.limit:,}; --limit N shows more." if more else ""
    narrowed = args.status or args.all or args.mine or args.search or args.metadata
    none = {"none": "No devbox matches. See all that live: %devbox list"} if narrowed else {}
    return devbox_listing(shown, current=session.current.id if session.current else None, note=note, **none)


def _matches(session: Session, args: argparse.Namespace, devbox: DevboxInfo) -> bool:
    mine = not args.mine or devbox.id in session.owned
    return mine and set(args.metadata) <= set(devbox.metadata)


def _wanted(args: argparse.Namespace) -> tuple[DevboxStatus | None, ...]:
    if args.status:
        return (args.status,)
    return (None,) if args.all else LIVE
