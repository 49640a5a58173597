"""`%runloop object list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.kind_listing import kind_listing
from ...resources.kind import short
from ...resources.kinds.storage_object import OBJECT
from ..option_groups import LISTED, NONE_LISTED, LimitOption, SearchOption, add_limit_option, add_search_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView

    from ...rendering import Listing
    from ...session import Session

STATES = ("uploading", "read_only", "deleted", "error")
TYPES = ("text", "binary", "gzip", "tar", "tgz", "unspecified")
_NONE = "No storage objects. Upload one: %runloop object upload FILE"
_NO_SUCH = "No storage object matches. See them all: %runloop object list"


class Options(LimitOption, SearchOption):
    """The options of `%runloop object list`."""

    state: str | None
    type: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop object list`."""
    made = Parser(Options, "%runloop object list", "Show the storage objects, newest first.")
    add_search_option(made)
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


async def run(session: Session, options: Options) -> Listing[ObjectView]:
    """A table of the objects."""
    filters = {"search": options.search, "state": options.state and options.state.upper(), "content_type": options.type}
    given = {key: value for key, value in filters.items() if value}
    found = await OBJECT.all(await session.client.sdk(), limit=options.limit, **given)
    if not given:
        session.names.keep(OBJECT.name, map(short, found))
    return kind_listing(OBJECT, found, none=_NO_SUCH if given else _NONE)
