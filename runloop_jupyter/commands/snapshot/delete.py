"""`%runloop snapshot delete`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...rendering import Done
from ...resources.lookup import SNAPSHOT
from .. import removing
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ...session import Session


def parser() -> Parser:
    """The options of `%runloop snapshot delete`."""
    return removing.deleting_parser(
        SNAPSHOT,
        "Delete snapshots. Devboxes that started from them stay as they are.",
        "%runloop snapshot delete ready tested",
    )


async def run(session: Session, args: argparse.Namespace) -> Done[object]:
    """Delete them."""
    return await removing.delete(session, SNAPSHOT, args.names, remove)


async def remove(sdk: AsyncRunloopSDK, view: DevboxSnapshotView) -> None:
    """Delete one."""
    await sdk.snapshot.from_id(view.id).delete()
