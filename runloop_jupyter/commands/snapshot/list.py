"""`%runloop snapshot list`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Listing, ago
from ...resources.lookup import SNAPSHOT, short
from ...text.sizes import spell_size
from ..parser import LISTED, NONE_LISTED, Parser, add_limit_option, add_metadata_option

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...session import Session

_COLUMNS = {
    "name": lambda view: view.name or "",
    "id": lambda view: view.id,
    "devbox": lambda view: view.source_devbox_id,
    "size": lambda view: "" if view.size_bytes is None else spell_size(view.size_bytes),
    "message": lambda view: view.commit_message or "",
    "created": lambda view: ago(view.create_time_ms),
}
_NONE = "No snapshots. Take one: %devbox snapshot"
_NO_SUCH = "No snapshot matches. See them all: %runloop snapshot list"


def parser() -> Parser:
    """The options of `%runloop snapshot list`."""
    made = Parser("%runloop snapshot list", "Show the snapshots, newest first.")
    made.add_name("devbox", "--devbox", metavar="NAME|ID", help="only those of this devbox")
    made.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")
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


async def run(session: Session, args: argparse.Namespace) -> Listing[DevboxSnapshotView]:
    """The table."""
    devbox = (await session.find(args.devbox)).id if args.devbox else None
    filters = {"devbox_id": devbox, "search": args.search, "metadata": dict(args.metadata)}
    given = {key: value for key, value in filters.items() if value}
    found = await SNAPSHOT.all(await session.sdk(), limit=args.limit, **given)
    if not given:
        session.names.keep("snapshot", map(short, found))
    return Listing(found, _COLUMNS, none=_NO_SUCH if given else _NONE)
