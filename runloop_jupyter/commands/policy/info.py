"""`%runloop policy info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Details
from ...resources.kinds.network_policy import POLICY
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import NetworkPolicyView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop policy info`."""

    name: str


def parser() -> Parser[Options]:
    """The parser of `%runloop policy info`."""
    made = Parser(Options, "%runloop policy info", "Show one network policy in detail.")
    made.add_name(POLICY.name, "name", metavar="NAME|ID", help="a network policy's name or id")
    return made.explain(
        ("by name or id", "%runloop policy info only-github"),
        returns="A card with the fields of the policy as attributes, such as `.name` and `.egress`.",
        mistakes=[
            "A name that does not exist is named, with the nearest one.",
        ],
    )


async def run(session: Session, options: Options) -> Details[NetworkPolicyView]:
    """A card of the network policy."""
    from ...rendering.cards import card_of

    return card_of(await POLICY.find(await session.client.sdk(), options.name))
