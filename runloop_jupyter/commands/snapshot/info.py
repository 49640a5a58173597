"""`%runloop snapshot info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering import Details, state_text
from ...resources.kinds.snapshot import SNAPSHOT
from ..options import OptionGroup
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...session import Session


class Options(OptionGroup):
    """The options of `%runloop snapshot info`."""

    name: str


def parser() -> Parser[Options]:
    """The parser of `%runloop snapshot info`."""
    made = Parser(Options, "%runloop snapshot info", "Show one snapshot in detail.")
    made.add_name(SNAPSHOT.name, "name", metavar="NAME|ID", help="a snapshot's name or id")
    return made.explain(
        ("by name or id", "%runloop snapshot info ready"),
        returns=(
            "A card with the fields of the snapshot as attributes, such as `.source_devbox_id` and `.size_bytes`."
        ),
        mistakes=[
            "A name that several snapshots share lists their ids: type one of those.",
        ],
    )


async def run(session: Session, options: Options) -> Details[DevboxSnapshotView]:
    """A card of the snapshot."""
    from ...rendering.cards import snapshot_card

    sdk = await session.client.sdk()
    view = await SNAPSHOT.find(sdk, options.name)
    seen = await sdk.snapshot.from_id(view.id).get_info()
    return snapshot_card(view, state_text(seen.status, seen.error_message))
