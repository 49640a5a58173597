"""`%runloop object info`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...finding import OBJECT
from ...rendering import Details, ago, moment, pairs, state_text
from ...sizes import spell_size
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.objects import ObjectView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop object info`."""
    made = Parser("%runloop object info", "Show one storage object in detail.")
    made.add_name("object", "name", metavar="NAME|ID", help="an object's name or id")
    return made


async def run(session: Session, args: argparse.Namespace) -> Details[ObjectView]:
    """The card."""
    view = await OBJECT.find(await session.sdk(), args.name)
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("type", view.content_type),
        ("size", "" if view.size_bytes is None else spell_size(view.size_bytes)),
        ("state", state_text(view.state)),
        ("created", ago(view.create_time_ms)),
        ("deleted at", moment(view.delete_after_time_ms)),
        ("metadata", pairs(view.metadata)),
        ("use it", f"%devbox create --mount {view.id}:PATH"),
    )
    return Details(view, rows)
