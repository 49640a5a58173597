"""`%runloop object info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Details
from ...resources.kinds.storage_object import OBJECT
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop object info`."""

    name: str


def parser() -> Parser[Options]:
    """The parser of `%runloop object info`."""
    made = Parser(Options, "%runloop object info", "Show one storage object in detail.")
    made.add_name(OBJECT.name, "name", metavar="NAME|ID", help="an object's name or id")
    return made.explain(
        ("by name or id", "%runloop object info data.csv"),
        returns=(
            "A card with the fields of the object as attributes, such as `.content_type`, `.state` and `.size_bytes`."
        ),
        mistakes=[
            "A name that several objects share lists their ids: type one of those.",
        ],
    )


async def run(session: Session, options: Options) -> Details[ObjectView]:
    """A card of the object."""
    from ...rendering.cards import card_of

    return card_of(await OBJECT.find(await session.client.sdk(), options.name))
