"""`%runloop policy list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.kind_listing import kind_listing
from ...resources.kind import short
from ...resources.kinds.network_policy import POLICY
from ..option_groups import LISTED, NONE_LISTED, LimitOption, SearchOption, add_limit_option, add_search_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView

    from ...rendering import Listing
    from ...session import Session

_NONE = "No network policies. Make one: %runloop policy create NAME"
_NO_SUCH = "No network policy matches. See them all: %runloop policy list"


class Options(LimitOption, SearchOption):
    """The options of `%runloop policy list`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop policy list`."""
    made = Parser(Options, "%runloop policy list", "Show the network policies, newest first.")
    add_search_option(made)
    add_limit_option(made, "network policies")
    return made.explain(
        ("all, newest first", "%runloop policy list"),
        returns=LISTED,
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, options: Options) -> Listing[NetworkPolicyView]:
    """A table of the network policies."""
    given = {"search": options.search} if options.search else {}
    found = await POLICY.all(await session.client.sdk(), limit=options.limit, **given)
    if not given:
        session.names.keep(POLICY.name, map(short, found))
    return kind_listing(POLICY, found, none=_NO_SUCH if given else _NONE)
