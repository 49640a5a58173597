"""`%runloop object list`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Listing, ago, state_text
from ...resources.lookup import OBJECT, short
from ...text.sizes import spell_size
from ..parser import LISTED, NONE_LISTED, Parser, add_limit_option

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView

    from ...session import Session

STATES = ("uploading", "read_only", "deleted", "error")
TYPES = ("text", "binary", "gzip", "tar", "tgz", "unspecified")
_COLUMNS = {
    "name": lambda view: view.name,
    "id": lambda view: view.id,
    "type": lambda view: view.content_type,
    "size": lambda view: "" if view.size_bytes is None else spell_size(view.size_bytes),
    "state": lambda view: state_text(view.state),
    "created": lambda view: ago(view.create_time_ms),
}
_NONE = "No storage objects. Upload one: %runloop object upload FILE"
_NO_SUCH = "No storage object matches. See them all: %runloop object list"


def parser() -> Parser:
    """The options of `%runloop object list`."""
    made = Parser("%runloop object list", "Show the storage objects, newest first.")
    made.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")
    made.add_argument("--state", choices=STATES, metavar="STATE", help="only these: " + ", ".join(STATES))
    made.add_argument("--type", choices=TYPES, metavar="TYPE", help="only these: " + ", ".join(TYPES))
    add_limit_option(made, "objects")
    return made.explain(
        ("all, newest first", "%runloop object list"),
        ("by a part of the name", "%runloop object list --search data"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Listing[ObjectView]:
    """The table."""
    filters = {"search": args.search, "state": args.state and args.state.upper(), "content_type": args.type}
    given = {key: value for key, value in filters.items() if value}
    found = await OBJECT.all(await session.sdk(), limit=args.limit, **given)
    if not given:
        session.names.keep("object", map(short, found))
    return Listing(found, _COLUMNS, none=_NO_SUCH if given else _NONE)
