"""`%runloop secret list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.kind_listing import kind_listing
from ...resources.kind import short
from ...resources.kinds.secret import SECRET
from ..option_groups import LISTED, NONE_LISTED, LimitOption, add_limit_option
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.secrets import SecretView

    from ...rendering import Listing
    from ...session import Session


class Options(LimitOption):
    """The options of `%runloop secret list`."""


def parser() -> Parser[Options]:
    """The parser of `%runloop secret list`."""
    made = Parser(Options, "%runloop secret list", "Show the secrets. Nobody can read their values back.")
    add_limit_option(made, "secrets")
    return made.explain(
        ("all of them, without their values", "%runloop secret list"),
        returns=LISTED + " No value is among the fields.",
        mistakes=[
            NONE_LISTED,
        ],
    )


async def run(session: Session, options: Options) -> Listing[SecretView]:
    """A table of the secrets."""
    found = await SECRET.all(await session.client.sdk(), limit=options.limit)
    session.names.keep(SECRET.name, map(short, found))
    return kind_listing(SECRET, found, none="No secrets. Make one: %runloop secret set NAME")
