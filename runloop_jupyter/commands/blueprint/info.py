"""`%runloop blueprint info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Details
from ...resources.kinds.blueprint import BLUEPRINT
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.blueprints import BlueprintView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop blueprint info`."""

    name: str


def parser() -> Parser[Options]:
    """The parser of `%runloop blueprint info`."""
    made = Parser(Options, "%runloop blueprint info", "Show one blueprint in detail: the latest build of its name.")
    made.add_name(BLUEPRINT.name, "name", metavar="NAME|ID", help="a blueprint's name or id")
    return made.explain(
        ("by name: its latest build", "%runloop blueprint info science"),
        ("in Python", "science = %runloop blueprint info science\nscience.status"),
        returns="A card with the fields of the blueprint as attributes, such as `.status` and `.parameters`.",
        mistakes=[
            "A name that does not exist is named, with the nearest one.",
        ],
    )


async def run(session: Session, options: Options) -> Details[BlueprintView]:
    """A card of the blueprint."""
    from ...rendering.cards import card_of

    return card_of(await BLUEPRINT.find(await session.client.sdk(), options.name))
