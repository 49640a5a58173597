"""Snapshots: saved disks of devboxes, as layers from which other devboxes start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ...sandbox.base import SandboxError
from ..build.image import Image
from ..change_notifier import ChangeNotifier
from ..errors import ConflictError, EngineError, InvalidError, NotFoundError, is_disk_full, of_machine
from ..ids import new_id, now_ms
from ..waiting import wait_until
from .clearing import Clearing
from .record_set import RecordSet
from .records import Record, body_of, loader
from .store import Document

if TYPE_CHECKING:
    from ..devbox.devbox import Devbox
    from .idempotency import Attempt
    from .layers import Layers
    from .store import Page, Query, Store

SnapshotStatus = Literal["in_progress", "complete", "error", "deleted"]
HIDDEN = ("deleted", "error")
"""Statuses that lists omit."""


class SnapshotRequest(msgspec.Struct, frozen=True):
    """The name, message and metadata of a new snapshot."""

    name: str | None = None
    commit_message: str | None = None
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotRecord(Record):
    """The stored fields of a snapshot, without its disk."""

    id: str
    create_time_ms: int
    source_devbox_id: str
    name: str | None = None
    commit_message: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: SnapshotStatus = "in_progress"
    error_message: str | None = None
    out_of_disk: bool = False
    """True if it failed because the disk is full."""
    layers: tuple[str, ...] = ()
    """The layers of its disk, top first; while it is in progress, the layer to be created."""
    image: Image = field(default_factory=Image)
    source_blueprint_id: str | None = None


class Snapshots:
    """All snapshots of this machine."""

    def __init__(self, store: Store, layers: Layers) -> None:
        self._store = store
        self._records = RecordSet(store, "snapshot", loaded, document)
        self._layers = layers
        self._in_progress: dict[str, str] = {}  # snapshot -> devbox
        self._progress_changed = ChangeNotifier()
        """Notified when a snapshot is no longer in progress."""
        self._tasks: dict[str, asyncio.Task[SnapshotRecord]] = {}
        self._clearing = Clearing(store.notes)

    async def restore(self) -> None:
        """Hold the layers of snapshots, and fail those that the last run of the service did not finish."""
        for record in await self._store.records("snapshot", loaded, status="complete"):
            self._layers.hold(_holder(record.id), record.layers)
        for record in await self._store.records("snapshot", loaded, status="in_progress"):
            sentence = "The service was restarted while the snapshot was being taken."
            await self._clearing.attempt(f"Snapshot {record.id}", self._fail(record, sentence))

    async def take(self, devbox: Devbox, request: SnapshotRequest, attempt: Attempt) -> SnapshotRecord:
        """Start a snapshot of a devbox's disk, or return that of an earlier attempt unless it failed."""
        if attempt.made is not None and (earlier := await self.get(attempt.made)).status != "error":
            return earlier
        devbox.disk.require_usable("take a snapshot of it")
        record = self._new(devbox, request)
        self._in_progress[record.id] = devbox.record.id
        self._layers.hold(_holder(record.id), record.layers)
        try:
            # The first await comes after the entry in `_in_progress`, so that a shutdown right now sees the snapshot.
            await self._layers.announce(record.layers[0])
            await self._records.put(record, *attempt.note(record.id))
        except BaseException:
            self._remove_from_progress(record.id)
            self._layers.release(_holder(record.id))
            raise
        self._tasks[record.id] = asyncio.create_task(self._take(devbox, record))
        return record

    def require_none(self, devbox_id: str) -> None:
        """Raise `ConflictError` while a snapshot of this devbox is in progress."""
        if devbox_id in self._in_progress.values():
            raise ConflictError(
                f"A snapshot of devbox {devbox_id} is in progress: wait for it, or shut down with force=true."
            )

    async def settled(self, devbox_id: str) -> None:
        """Wait until no snapshot of this devbox is in progress."""
        await wait_until(self._progress_changed, lambda: devbox_id not in self._in_progress.values())

    async def finished(self, snapshot_id: str) -> SnapshotRecord:
        """Wait until the snapshot is no longer in progress, and return it."""
        task = self._tasks.get(snapshot_id)
        return await (self.get(snapshot_id) if task is None else asyncio.shield(task))

    async def get(self, snapshot_id: str) -> SnapshotRecord:
        """The snapshot of this id, even if deleted; raises `NotFoundError` if it never existed."""
        is_in_progress = snapshot_id in self._in_progress  # first, as its outcome is stored before it is removed there
        record = await self._records.get(snapshot_id)
        if is_in_progress or record.status != "in_progress":
            return record
        return replace(record, status="error", error_message="Its outcome could not be stored.", layers=())

    async def complete(self, snapshot_id: str) -> SnapshotRecord:
        """A snapshot from which devboxes can start; raises `NotFoundError` or `InvalidError`."""
        record = _require_not_deleted(await self.get(snapshot_id))
        if record.status != "complete":
            raise InvalidError(f"Snapshot {snapshot_id} is {record.status}; only a complete one can be used.")
        return record

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, snapshot_id: str, changes: Mapping[str, Any]) -> SnapshotRecord:
        """Update the name, the message or the metadata."""
        return await self._records.change(snapshot_id, lambda record: replace(_require_not_deleted(record), **changes))

    async def delete(self, snapshot_id: str) -> None:
        """Delete it; its layers are removed once nothing else uses them. Repeating it is not an error."""
        # Its layer is being made: to remove it now would be a race that either side can lose.
        if snapshot_id in self._in_progress:
            raise ConflictError(f"Snapshot {snapshot_id} is still in progress: delete it when it is complete.")
        await self._records.change(
            snapshot_id, lambda record: replace(record, status="deleted", layers=()), urgent=True
        )
        self._layers.release(_holder(snapshot_id))

    async def aclose(self) -> None:
        """Wait for the snapshots in progress."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _new(self, devbox: Devbox, request: SnapshotRequest) -> SnapshotRecord:
        image = devbox.record.image
        return SnapshotRecord(
            id=new_id("snp"),
            create_time_ms=now_ms(),
            source_devbox_id=devbox.record.id,
            name=request.name,
            commit_message=request.commit_message,
            metadata=request.metadata,
            layers=(self._layers.fresh(),),
            image=image,
            source_blueprint_id=image.blueprint_id,
        )

    async def _take(self, devbox: Devbox, record: SnapshotRecord) -> SnapshotRecord:
        try:
            layers = await devbox.disk.save(record.layers[0])
            # Held before the record says so: a sweep between the two would remove what was just made.
            self._layers.hold(_holder(record.id), layers)
            return await self._records.change(record.id, lambda now: replace(now, status="complete", layers=layers))
        except (SandboxError, EngineError, OSError, RuntimeError) as error:
            return await self._fail(record, str(of_machine(error) or error), out_of_disk=is_disk_full(error))
        finally:
            del self._tasks[record.id]
            self._remove_from_progress(record.id)

    def _remove_from_progress(self, snapshot_id: str) -> None:
        del self._in_progress[snapshot_id]
        self._progress_changed.notify()

    async def _fail(self, record: SnapshotRecord, sentence: str, *, out_of_disk: bool = False) -> SnapshotRecord:
        def failed(now: SnapshotRecord) -> SnapshotRecord:
            return replace(now, status="error", error_message=sentence, out_of_disk=out_of_disk, layers=())

        try:
            return await self._records.change(record.id, failed, urgent=True)
        except EngineError:
            return failed(record)  # waiting requests get the reason; later ones that the outcome was not stored
        finally:
            self._layers.release(_holder(record.id))


def _holder(snapshot_id: str) -> str:
    return f"snapshot/{snapshot_id}"


def _require_not_deleted(record: SnapshotRecord) -> SnapshotRecord:
    if record.status == "deleted":
        raise NotFoundError(f"Snapshot {record.id} has been deleted.")
    return record


def document(record: SnapshotRecord) -> Document:
    """The stored form of a snapshot."""
    view = json.dumps(snapshot_view(record), ensure_ascii=False)
    return Document(
        "snapshot",
        record.id,
        body_of(record),
        parent=record.source_devbox_id,
        status=record.status,
        name=record.name or "",
        time_ms=record.create_time_ms,
        view=view,
        listed=record.status not in HIDDEN,
    )


loaded = loader(SnapshotRecord)
"""Load a record from its stored form; raises `ValueError` if that is invalid."""


def snapshot_view(record: SnapshotRecord) -> dict[str, Any]:
    """`DevboxSnapshotView`."""
    return {
        "id": record.id,
        "create_time_ms": record.create_time_ms,
        "metadata": dict(record.metadata),
        "source_devbox_id": record.source_devbox_id,
        "commit_message": record.commit_message,
        "name": record.name,
        "size_bytes": None,
        "source_blueprint_id": record.source_blueprint_id,
    }


def status_view(record: SnapshotRecord) -> dict[str, Any]:
    """`DevboxSnapshotAsyncStatusView`."""
    snapshot = snapshot_view(record) if record.status == "complete" else None
    return {"status": record.status, "error_message": record.error_message, "snapshot": snapshot}
