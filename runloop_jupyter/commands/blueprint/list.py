"""`%runloop blueprint list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.kind_listing import kind_listing
from ...resources.kind import short
from ...resources.kinds.blueprint import BLUEPRINT
from ..option_groups import LISTED, NONE_LISTED, LimitOption, SearchOption, add_limit_option, add_search_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.blueprints import BlueprintView

    from ...rendering import Listing
    from ...session import Session

STATES = ("queued", "provisioning", "building", "awaiting_upload", "failed", "build_complete")
_NONE = "No blueprints. Build one: %%runloop blueprint build NAME"
_NO_SUCH = "No blueprint matches. See them all: %runloop blueprint list"


class Options(LimitOption, SearchOption):
    """The options of `%runloop blueprint list`."""

    name: str | None
    status: str | None


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint list`."""
    made = Parser(Options, "%runloop blueprint list", "Show the blueprints, newest first.")
    made.add_name(BLUEPRINT.name, "--name", metavar="NAME", help="only builds of this name")
    made.add_argument("--status", choices=STATES, metavar="STATE", help="only these: " + ", ".join(STATES))
    add_search_option(made)
    add_limit_option(made, "blueprints")
    return made.explain(
        ("all, newest first", "%runloop blueprint list"),
        ("those that failed", "%runloop blueprint list --status failed"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, options: Options) -> Listing[BlueprintView]:
    """A table of the blueprints."""
    filters = {"name": options.name, "status": options.status, "search": options.search}
    given = {key: value for key, value in filters.items() if value}
    found = await BLUEPRINT.all(await session.client.sdk(), limit=options.limit, **given)
    if not given:
        session.names.keep(BLUEPRINT.name, map(short, found))
    return kind_listing(BLUEPRINT, found, none=_NO_SUCH if given else _NONE)
