"""`%runloop blueprint list`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Listing, ago, state_text
from ...resources.lookup import BLUEPRINT, short
from ..parser import LISTED, NONE_LISTED, Parser, add_limit_option

if TYPE_CHECKING:
    from runloop_sdk.models.blueprints import BlueprintView

    from ...session import Session

STATES = ("queued", "provisioning", "building", "awaiting_upload", "failed", "build_complete")
_COLUMNS = {
    "name": lambda view: view.name,
    "id": lambda view: view.id,
    "status": lambda view: state_text(view.status, view.failure_reason),
    "created": lambda view: ago(view.create_time_ms),
}
_NONE = "No blueprints. Build one: %%runloop blueprint build NAME"
_NO_SUCH = "No blueprint matches. See them all: %runloop blueprint list"


def parser() -> Parser:
    """The options of `%runloop blueprint list`."""
    made = Parser("%runloop blueprint list", "Show the blueprints, newest first.")
    made.add_name("blueprint", "--name", metavar="NAME", help="only builds of this name")
    made.add_argument("--status", choices=STATES, metavar="STATE", help="only these: " + ", ".join(STATES))
    made.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")
    add_limit_option(made, "blueprints")
    return made.explain(
        ("all, newest first", "%runloop blueprint list"),
        ("those that failed", "%runloop blueprint list --status failed"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Listing[BlueprintView]:
    """The table."""
    filters = {"name": args.name, "status": args.status, "search": args.search}
    given = {key: value for key, value in filters.items() if value}
    found = await BLUEPRINT.all(await session.sdk(), limit=args.limit, **given)
    if not given:
        session.names.keep("blueprint", map(short, found))
    return Listing(found, _COLUMNS, none=_NO_SUCH if given else _NONE)
