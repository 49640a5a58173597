"""`%runloop policy list`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Listing, ago
from ...rendering.policies import allowed
from ...resources.lookup import POLICY, short
from ..parser import LISTED, NONE_LISTED, Parser, add_limit_option

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView

    from ...session import Session

_COLUMNS = {
    "name": lambda view: view.name,
    "id": lambda view: view.id,
    "allows": lambda view: allowed(view.egress),
    "created": lambda view: ago(view.create_time_ms),
}
_NONE = "No network policies. Make one: %runloop policy create NAME"
_NO_SUCH = "No network policy matches. See them all: %runloop policy list"


def parser() -> Parser:
    """The options of `%runloop policy list`."""
    made = Parser("%runloop policy list", "Show the network policies, newest first.")
    made.add_argument("--search", metavar="TEXT", help="only those whose name or id has this text")
    add_limit_option(made, "network policies")
    return made.explain(
        ("all, newest first", "%runloop policy list"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, args: argparse.Namespace) -> Listing[NetworkPolicyView]:
    """The table."""
    given = {"search": args.search} if args.search else {}
    found = await POLICY.all(await session.sdk(), limit=args.limit, **given)
    if not given:
        session.names.keep("policy", map(short, found))
    return Listing(found, _COLUMNS, none=_NO_SUCH if given else _NONE)
