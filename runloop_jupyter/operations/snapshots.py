"""Snapshots of a devbox's disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import RemoteError
from ..resources.kinds.snapshot import SNAPSHOT
from .lifecycle import handle_of
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk import AsyncSnapshot
    from runloop_sdk.models.disk_snapshots import DevboxSnapshotView

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

_RETRY_DELETION = 0.2  # seconds


async def take_snapshot(
    session: Session,
    devbox: DevboxInfo,
    *,
    name: str = "",
    message: str = "",
    metadata: Mapping[str, str] | None = None,
    observer: Observer = UNOBSERVED,
) -> DevboxSnapshotView:
    """Take a snapshot of a devbox's disk and wait until it is complete. Cancelled, it is deleted again."""
    from runloop_sdk import complete_or_undo, run_undo

    handle = await handle_of(session, devbox)

    async def begin() -> AsyncSnapshot:
        request = handle.snapshot_disk_async(
            name=name or None, commit_message=message or None, metadata=metadata or None
        )
        return await observer.confirmed(request)

    made = await complete_or_undo(begin(), _delete)
    try:
        view = (await made.await_completed()).snapshot
    except asyncio.CancelledError as cancelled:
        await run_undo(_delete(made), cancelled)
        raise
    if view is None:
        raise RemoteError(
            f"Snapshot {made.id} is complete, but the service does not show it yet. Look again: %runloop snapshot list"
        )
    session.names.add(SNAPSHOT.name, view.name or view.id)
    observer.changed(view)
    return view


async def _delete(made: AsyncSnapshot) -> None:
    from runloop_sdk import ConflictError

    while True:
        try:
            await made.delete()
        except ConflictError:  # one that is not complete cannot be deleted
            await asyncio.sleep(_RETRY_DELETION)
        else:
            return
