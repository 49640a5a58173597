"""`%runloop snapshot list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.kind_listing import kind_listing
from ...resources.kind import short
from ...resources.kinds.snapshot import SNAPSHOT
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
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...rendering import Listing
    from ...session import Session

_NONE = "No snapshots. Take one: %devbox snapshot"
_NO_SUCH = "No snapshot matches. See them all: %runloop snapshot list"


class Options(LimitOption, MetadataOption, SearchOption):
    """The options of `%runloop snapshot list`."""

    devbox: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot list`."""
    made = Parser(Options, "%runloop snapshot list", "Show the snapshots, newest first.")
    made.add_name("devbox", "--devbox", metavar="NAME|ID", help="only those of this devbox")
    add_search_option(made)
    add_metadata_option(made, "only those with this metadata")
    add_limit_option(made, "snapshots")
    return made.explain(
        ("all, newest first", "%runloop snapshot list"),
        ("those of one devbox", "%runloop snapshot list --devbox web"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, options: Options) -> Listing[DevboxSnapshotView]:
    """A table of the snapshots."""
    devbox = (await session.find(options.devbox)).id if options.devbox else None
    filters = {"devbox_id": devbox, "search": options.search, "metadata": dict(options.metadata)}
    given = {key: value for key, value in filters.items() if value}
    found = await SNAPSHOT.all(await session.client.sdk(), limit=options.limit, **given)
    if not given:
        session.names.keep(SNAPSHOT.name, map(short, found))
    return kind_listing(SNAPSHOT, found, none=_NO_SUCH if given else _NONE)
