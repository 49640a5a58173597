"""`%runloop snapshot info`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...finding import SNAPSHOT, short
from ...rendering import Details, ago, pairs, state_text
from ...sizes import spell_size
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop snapshot info`."""
    made = Parser("%runloop snapshot info", "Show one snapshot in detail.")
    made.add_name("snapshot", "name", metavar="NAME|ID", help="a snapshot's name or id")
    return made


async def run(session: Session, args: argparse.Namespace) -> Details[DevboxSnapshotView]:
    """The card."""
    sdk = await session.sdk()
    view = await SNAPSHOT.find(sdk, args.name)
    seen = await sdk.snapshot.from_id(view.id).get_info()
    rows = (
        ("name", view.name or ""),
        ("id", view.id),
        ("status", state_text(seen.status, seen.error_message)),
        ("created", ago(view.create_time_ms)),
        ("message", view.commit_message or ""),
        ("devbox", view.source_devbox_id),
        ("blueprint", view.source_blueprint_id or ""),
        ("size", "" if view.size_bytes is None else spell_size(view.size_bytes)),
        ("metadata", pairs(view.metadata)),
        ("use it", f"%runloop snapshot restore {short(view)}"),
    )
    return Details(view, rows)
