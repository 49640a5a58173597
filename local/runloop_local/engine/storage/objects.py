"""Storage objects: named files for devboxes and builds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import msgspec

from ..errors import ConflictError, EngineError, ForbiddenError, InvalidError, NotFoundError
from ..ids import new_id, now_ms
from .clearing import Clearing
from .expiry_scheduler import ExpiryScheduler
from .object_files import ObjectFiles, is_part, write
from .records import Record, body_of, loader, shown
from .store import Document

if TYPE_CHECKING:
    from pathlib import Path

    from .idempotency import Attempt
    from .object_files import Source
    from .signatures import Method, Signer
    from .store import Page, Query, Store

ContentType = Literal["unspecified", "text", "binary", "gzip", "tar", "tgz"]
State = Literal["UPLOADING", "READ_ONLY", "DELETED", "ERROR"]
UPLOAD_SECONDS = 3600


class ObjectRequest(msgspec.Struct, frozen=True):
    """The properties of a new object."""

    name: str
    content_type: ContentType
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    ttl_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectRecord(Record):
    """The stored fields of an object, without its bytes."""

    id: str
    name: str
    content_type: ContentType
    create_time_ms: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    delete_after_time_ms: int | None = None
    state: State = "UPLOADING"
    size_bytes: int | None = None


class Content(msgspec.Struct, frozen=True):
    """The file of a complete object."""

    record: ObjectRecord
    path: Path
    size: int


class Objects:
    """All objects of this machine."""

    def __init__(self, store: Store, folder: Path, signer: Signer) -> None:
        self._store = store
        self.files = ObjectFiles(folder)
        self._signer = signer
        self._expiry_scheduler = ExpiryScheduler(self._expire)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._clearing = Clearing(store.notes)

    async def restore(self) -> None:
        """Schedule the expiry of objects, and clean up after interrupted uploads in the background."""
        self.files.prepare()
        for object_id, due_ms in await self._store.due("object"):
            self._expiry_scheduler.add(object_id, due_ms)
        left = await self.files.names()
        self._clearing.begin("The rest of interrupted uploads", self._clear_away(left))

    async def create(self, request: ObjectRequest, attempt: Attempt) -> ObjectRecord:
        """Create an object that awaits its bytes, or return the one that an earlier attempt has created."""
        if attempt.made is not None:
            return await self.get(attempt.made)
        now = now_ms()
        ends = None if request.ttl_ms is None else now + request.ttl_ms
        record = ObjectRecord(new_id("obj"), request.name, request.content_type, now, request.metadata, ends)
        await self._store.put(document(record), *attempt.note(record.id))
        if ends is not None:
            # After it was stored: what does not exist cannot expire. A restart finds it in the store.
            self._expiry_scheduler.add(record.id, ends)
        return record

    async def get(self, object_id: str) -> ObjectRecord:
        """The object of this id, even if deleted; raises `NotFoundError` if it never existed."""
        record = await self._load(object_id)
        due = record.delete_after_time_ms
        if record.state != "DELETED" and due is not None and due < now_ms():
            return await self.delete(object_id)  # its timer may be late, as machines sleep
        return record

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def complete(self, object_id: str, attempt: Attempt) -> ObjectRecord:
        """Make it read-only; from here on it survives a power failure."""
        await self.get(object_id)
        async with self._lock(object_id):
            record = await self._load(object_id)
            if record.state != "UPLOADING":
                raise ConflictError(
                    f"Object {object_id} is {record.state}; only one that is UPLOADING can be completed."
                )
            if not self.files.path(object_id).exists():
                raise InvalidError(f"Object {object_id} has no bytes yet: PUT them to its upload_url, even if empty.")
            # The bytes first: a power failure in between leaves it UPLOADING, never READ_ONLY with bytes missing.
            size = await self.files.sync(object_id)
            completed = replace(record, state="READ_ONLY", size_bytes=size)
            await self._store.put(document(completed), *attempt.note_reply(object_view(completed)))
            return completed

    async def delete(self, object_id: str) -> ObjectRecord:
        """Delete its bytes, but keep its record. Repeating it is not an error."""
        # The record first: a kill in between leaves a file that the next start removes, never a record without bytes.
        async with self._lock(object_id):
            record = await self._keep(replace(await self._load(object_id), state="DELETED"), urgent=True)
            await self.files.remove(object_id)
            return record

    def signed_query(self, method: Method, object_id: str, seconds: int) -> str:
        """The query of a signed URL to PUT or GET the bytes."""
        return self._signer.query(method, object_id, seconds)

    def check_signature(self, method: Method, object_id: str, expires: str, signature: str) -> None:
        """Raise `ForbiddenError` unless the URL is signed and has not expired."""
        self._signer.check(method, object_id, expires, signature)

    async def receive(self, object_id: str, source: Source, announced: int | None) -> ObjectRecord:
        """Receive its bytes atomically; while it is UPLOADING, another upload replaces them."""
        _require_uploading(await self.get(object_id))
        self.files.require_room(announced)
        part = self.files.part(object_id)
        try:
            # To a file beside it: a cut upload leaves the bytes of the one before, or none.
            size = await write(part, source)
            if announced is not None and size != announced:
                raise InvalidError(f"{announced:,} bytes were announced for object {object_id}, {size:,} came.")
            async with self._lock(object_id):
                # Checked again, as it may have been completed or deleted while the bytes came in.
                record = _require_uploading(await self._load(object_id))
                part.replace(self.files.path(object_id))
                return await self._keep(replace(record, size_bytes=size))
        finally:
            part.unlink(missing_ok=True)

    async def content(self, object_id: str) -> Content:
        """The file of a complete object with its record; raises `NotFoundError` or `InvalidError`."""
        record = await self.get(object_id)
        if record.state == "DELETED":
            raise NotFoundError(f"Object {object_id} has been deleted.")
        if record.state != "READ_ONLY":
            raise InvalidError(f"Object {object_id} is {record.state}: upload its bytes and complete it first.")
        path = self.files.path(object_id)
        try:
            return Content(record, path, path.stat().st_size)
        except FileNotFoundError:
            raise EngineError(f"The bytes of object {object_id} are missing on this machine's disk.") from None

    async def path(self, object_id: str) -> Path:
        """The path of a complete object's file; raises `NotFoundError` or `InvalidError`."""
        return (await self.content(object_id)).path

    async def aclose(self) -> None:
        """Stop all background work."""
        await self._clearing.aclose()
        await self._expiry_scheduler.aclose()
        self.files.close()

    def _lock(self, object_id: str) -> asyncio.Lock:
        return self._locks.setdefault(object_id, asyncio.Lock())

    async def _load(self, object_id: str) -> ObjectRecord:
        record = await self._store.record("object", object_id, loaded)
        if record is None:
            raise NotFoundError(f"No object has the id {object_id!r}.")
        return record

    async def _clear_away(self, left: list[str]) -> None:
        """Delete incomplete uploads and files of deleted objects; files without a record are kept, with a note."""
        states = await self._store.statuses("object", left)
        for name in left:
            if is_part(name) or states.get(name) == "DELETED":
                await self.files.remove(name)
        unknown = [name for name in left if name not in states and not is_part(name)]
        self._store.notes.unowned(unknown, "file", "in objects/")

    async def _keep(self, record: ObjectRecord, *, urgent: bool = False) -> ObjectRecord:
        await self._store.put(document(record), urgent=urgent)
        return record

    async def _expire(self, object_id: str) -> None:
        await self._clearing.attempt(f"Object {object_id}", self.delete(object_id))


def _require_uploading(record: ObjectRecord) -> ObjectRecord:
    if record.state != "UPLOADING":
        raise ForbiddenError(f"Object {record.id} is {record.state} and takes no more bytes: create a new one.")
    return record


def document(record: ObjectRecord) -> Document:
    """The stored form of an object."""
    view = json.dumps(object_view(record), ensure_ascii=False)
    is_there = record.state != "DELETED"
    return Document(
        "object",
        record.id,
        body_of(record),
        status=record.state,
        name=record.name,
        time_ms=record.create_time_ms,
        view=view,
        listed=is_there,
        due_ms=record.delete_after_time_ms if is_there else None,
    )


loaded = loader(ObjectRecord)
"""Load a record from its stored form; raises `ValueError` if that is invalid."""


def object_view(record: ObjectRecord) -> dict[str, Any]:
    """`ObjectView`."""
    return {**shown(record), "upload_url": None, "upload_headers": None}
