"""`%devbox list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Listing, devbox_listing
from ...resources.devboxes import LIVE, DevboxInfo, collect
from ..option_groups import (
    LISTED,
    NONE_LISTED,
    LimitOption,
    MetadataOption,
    SearchOption,
    add_limit_option,
    add_metadata_option,
    add_search_option,
)
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.params.devboxes import DevboxStatus

    from ...session import Session

_STATES = (*LIVE, "shutdown", "failure")


class Options(LimitOption, MetadataOption, SearchOption):
    """The options of `%devbox list`."""

    all: bool
    status: DevboxStatus | None
    mine: bool


def parser() -> Parser[Options]:
    """The parser of `%devbox list`."""
    made = Parser(Options, "%devbox list", "Show the devboxes that run or can run again, newest first.")
    made.add_argument("--all", action="store_true", help="also those that have ended")
    made.add_argument("--status", choices=_STATES, metavar="STATE", help="only these: " + ", ".join(_STATES))
    made.add_argument("--mine", action="store_true", help="only those that this kernel created")
    add_search_option(made)
    add_metadata_option(made, "only those with this metadata")
    add_limit_option(made, "devboxes")
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


async def run(session: Session, options: Options) -> Listing[DevboxInfo]:
    """A table of the devboxes."""
    sdk = await session.client.sdk()
    found, more = await collect(sdk, _wanted(options), options.limit, options.search)
    if not options.search:
        session.names.keep("devbox", [each.known_as for each in found if each.alive])
    shown = await session.ownerships.described([each for each in found if _matches(session, options, each)])
    note = f"The newest {options.limit:,}; --limit N shows more." if more else ""
    narrowed = options.status or options.all or options.mine or options.search or options.metadata
    none = {"none": "No devbox matches. See all that live: %devbox list"} if narrowed else {}
    return devbox_listing(shown, current=session.current.id if session.current else None, note=note, **none)


def _matches(session: Session, options: Options, devbox: DevboxInfo) -> bool:
    mine = not options.mine or devbox.id in session.owned
    return mine and set(options.metadata) <= set(devbox.metadata)


def _wanted(options: Options) -> tuple[DevboxStatus | None, ...]:
    if options.status:
        return (options.status,)
    return (None,) if options.all else LIVE
