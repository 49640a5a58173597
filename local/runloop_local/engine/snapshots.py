"""Snapshots: disks of devboxes, kept as layers that further devboxes start from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ..sandbox.base import SandboxError
from .errors import ConflictError, EngineError, InvalidError, NotFoundError, is_disk_full, of_machine
from .ids import new_id, now_ms
from .image import Image
from .image import loaded as loaded_image
from .requests import Requests
from .store import Document

if TYPE_CHECKING:
    from .devbox import Devbox
    from .layers import Layers
    from .store import Page, Query, Store

SnapshotStatus = Literal["in_progress", "complete", "error", "deleted"]
HIDDEN = ("deleted", "error")
"""What lists leave out."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a snapshot is to be called."""

    name: str | None = None
    commit_message: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """All that is known of a snapshot, apart from its disk."""

    id: str
    create_time_ms: int
    source_devbox_id: str
    name: str | None = None
    commit_message: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: SnapshotStatus = "in_progress"
    error_message: str | None = None
    out_of_disk: bool = False
    """Whether it failed because a disk has no room."""
    layers: tuple[str, ...] = ()
    """Its disk, top first; while it is being made, the layer that is to be."""
    image: Image = field(default_factory=Image)
    source_blueprint_id: str | None = None


class Snapshots:
    """All snapshots of this machine."""

    def __init__(self, store: Store, layers: Layers) -> None:
        self._store = store
        self._layers = layers
        self._requests = Requests()
        self._underway: dict[str, str] = {}  # snapshot -> devbox
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def restore(self) -> None:
        """Note what the last service began and did not finish."""
        for body in await self._store.bodies("snapshot", status="in_progress"):
            await self._fail(loaded(body), "The service was restarted while the snapshot was being made.")

    async def take(self, devbox: Devbox, wish: Wish, request_id: str | None) -> SnapshotRecord:
        """Begin to snapshot a devbox's disk; the same request once more is the same snapshot."""
        known = self._requests.made(devbox.record.id, request_id)
        if known is not None:
            return await self.get(known)
        devbox.require_disk("take a snapshot of it")
        record = self._new(devbox, wish)
        self._requests.note(record.id, devbox.record.id, request_id)
        self._underway[record.id] = devbox.record.id
        try:
            await self._keep(record)
        except BaseException:
            del self._underway[record.id]
            raise
        self._tasks[record.id] = asyncio.create_task(self._take(devbox, record))
        return record

    def require_none(self, devbox_id: str) -> None:
        """`ConflictError` while a snapshot of this devbox is being made."""
        if devbox_id in self._underway.values():
            raise ConflictError(
                f"A snapshot of devbox {devbox_id} is being made: wait for it, or shut down with force=true."
            )

    async def finished(self, snapshot_id: str) -> SnapshotRecord:
        """The snapshot, once it is no longer being made."""
        task = self._tasks.get(snapshot_id)
        if task is not None:
            await asyncio.wait({task})
        return await self.get(snapshot_id)

    async def get(self, snapshot_id: str) -> SnapshotRecord:
        """One snapshot, deleted ones too; `NotFoundError` if there never was one."""
        body = await self._store.get("snapshot", snapshot_id)
        if body is None:
            raise NotFoundError(f"No snapshot has the id {snapshot_id!r}.")
        return loaded(body)

    async def complete(self, snapshot_id: str) -> SnapshotRecord:
        """A snapshot that devboxes can start from; `NotFoundError` or `InvalidError` otherwise."""
        record = await self.get(snapshot_id)
        if record.status == "deleted":
            raise NotFoundError(f"Snapshot {snapshot_id} has been deleted.")
        if record.status != "complete":
            raise InvalidError(f"Snapshot {snapshot_id} is {record.status}; only a complete one can be used.")
        return record

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, snapshot_id: str, changes: Mapping[str, Any]) -> SnapshotRecord:
        """Change the name, the message or the metadata."""
        record = await self.get(snapshot_id)
        if record.status == "deleted":
            raise NotFoundError(f"Snapshot {snapshot_id} has been deleted.")
        return await self._keep(replace(record, **changes))

    async def delete(self, snapshot_id: str) -> None:
        """Delete it; its layers go once nothing else stands on them. Once more is no error."""
        record = await self.get(snapshot_id)
        if record.status == "in_progress":
            raise ConflictError(f"Snapshot {snapshot_id} is still being made: delete it when it is complete.")
        await self._keep(replace(record, status="deleted", layers=()))
        self._layers.sweep_soon()

    async def aclose(self) -> None:
        """Wait for the snapshots under way."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _new(self, devbox: Devbox, wish: Wish) -> SnapshotRecord:
        image = devbox.record.image
        return SnapshotRecord(
            id=new_id("snp"),
            create_time_ms=now_ms(),
            source_devbox_id=devbox.record.id,
            name=wish.name,
            commit_message=wish.commit_message,
            metadata=wish.metadata,
            layers=(self._layers.fresh(),),
            image=image,
            source_blueprint_id=image.blueprint_id,
        )

    async def _take(self, devbox: Devbox, record: SnapshotRecord) -> None:
        try:
            layers = await devbox.save_disk(record.layers[0])
            with self._layers.held(layers):
                await self._settle(record, status="complete", layers=layers)
        except (SandboxError, EngineError, OSError, RuntimeError) as error:
            await self._fail(record, str(of_machine(error) or error), out_of_disk=is_disk_full(error))
        finally:
            del self._underway[record.id]
            del self._tasks[record.id]

    async def _fail(self, record: SnapshotRecord, sentence: str, *, out_of_disk: bool = False) -> None:
        await self._settle(record, status="error", error_message=sentence, out_of_disk=out_of_disk, layers=())
        self._layers.sweep_soon()

    async def _settle(self, record: SnapshotRecord, **outcome: Any) -> None:
        current = await self.get(record.id)  # it may have been given another name meanwhile
        await self._keep(replace(current, **outcome))

    async def _keep(self, record: SnapshotRecord) -> SnapshotRecord:
        await self._store.put(document(record))
        return record


def document(record: SnapshotRecord) -> Document:
    """A snapshot as the store keeps it."""
    view = json.dumps(snapshot_view(record), ensure_ascii=False)
    return Document(
        "snapshot",
        record.id,
        asdict(record),
        parent=record.source_devbox_id,
        status=record.status,
        name=record.name or "",
        time_ms=record.create_time_ms,
        view=view,
    )


def loaded(body: dict[str, Any]) -> SnapshotRecord:
    """The record from its stored form."""
    return SnapshotRecord(**{**body, "layers": tuple(body["layers"]), "image": loaded_image(body["image"])})


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
