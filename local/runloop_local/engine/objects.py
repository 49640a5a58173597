"""Storage objects: named bytes on disk that devboxes and builds are given."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from .bulk import Bulk
from .deadlines import Deadlines
from .errors import ConflictError, DiskFullError, EngineError, ForbiddenError, InvalidError, NotFoundError
from .ids import new_id, now_ms
from .requests import Requests
from .service_key import sync_folder
from .store import Document

if TYPE_CHECKING:
    from .signatures import Method, Signer
    from .store import Page, Query, Store

ContentType = Literal["unspecified", "text", "binary", "gzip", "tar", "tgz"]
State = Literal["UPLOADING", "READ_ONLY", "DELETED", "ERROR"]
UPLOAD_SECONDS = 3600
_PART = ".part"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


@dataclass(frozen=True, slots=True)
class Wish:
    """What an object is to be."""

    name: str
    content_type: ContentType
    metadata: Mapping[str, str] = field(default_factory=dict)
    ttl_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """All that is known of an object, apart from its bytes."""

    id: str
    name: str
    content_type: ContentType
    create_time_ms: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    delete_after_time_ms: int | None = None
    state: State = "UPLOADING"
    size_bytes: int | None = None


Source = Callable[[Path], Awaitable[int]]
"""Writes an object's bytes to a new file, and tells how many."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a finished object."""

    record: ObjectRecord
    path: Path
    size: int


class Objects:
    """All objects of this machine. A file below `folder` has an object's id as its name."""

    def __init__(self, store: Store, folder: Path, signer: Signer) -> None:
        self._store = store
        self._folder = folder
        self._signer = signer
        self._requests = Requests()
        self._deadlines = Deadlines(self._expire)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._bulk = Bulk()

    async def restore(self) -> None:
        """Clear away uploads that were cut off, and take up the times at which objects end."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = set()
        for body in await self._store.bodies("object"):
            record = ObjectRecord(**body)
            if record.state != "DELETED":
                known.add(record.id)
                self._note_deadline(record)
        await asyncio.to_thread(_keep_only, self._folder, known)

    async def create(self, wish: Wish, request_id: str | None) -> ObjectRecord:
        """A new object that waits for its bytes; the same request once more is the same object."""
        known = self._requests.made("create", request_id)
        if known is not None:
            return await self.get(known)
        now = now_ms()
        ends = None if wish.ttl_ms is None else now + wish.ttl_ms
        record = ObjectRecord(new_id("obj"), wish.name, wish.content_type, now, wish.metadata, ends)
        self._requests.note(record.id, "create", request_id)
        try:
            await self._keep(record)
        except BaseException:
            self._requests.forget("create", request_id)
            raise
        self._note_deadline(record)
        return record

    async def get(self, object_id: str) -> ObjectRecord:
        """One object, deleted ones too; `NotFoundError` if there never was one."""
        record = await self._load(object_id)
        due = record.delete_after_time_ms
        if record.state != "DELETED" and due is not None and due < now_ms():
            return await self.delete(object_id)  # its timer may be late: machines sleep
        return record

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def complete(self, object_id: str) -> ObjectRecord:
        """Close it for writing and open it for reading; it survives a power cut from here on."""
        await self.get(object_id)
        async with self._lock(object_id):
            record = await self._load(object_id)
            if record.state != "UPLOADING":
                raise ConflictError(
                    f"Object {object_id} is {record.state}; only one that is UPLOADING can be completed."
                )
            if not self._file(object_id).exists():
                raise InvalidError(f"Object {object_id} has no bytes yet: PUT them to its upload_url, if only none.")
            size = await asyncio.to_thread(_sync, self._file(object_id))
            return await self._keep(replace(record, state="READ_ONLY", size_bytes=size))

    async def delete(self, object_id: str) -> ObjectRecord:
        """Its bytes are gone, its record stays. Once more is no error."""
        async with self._lock(object_id):
            record = await self._keep(replace(await self._load(object_id), state="DELETED"))
            await asyncio.to_thread(self._file(object_id).unlink, missing_ok=True)
            return record

    def signed_query(self, method: Method, object_id: str, seconds: int) -> str:
        """The query of an address that lets its holder PUT or GET the bytes."""
        return self._signer.query(method, object_id, seconds)

    def check_signature(self, method: Method, object_id: str, expires: str, signature: str) -> None:
        """`ForbiddenError` unless an address is signed and has not expired."""
        self._signer.check(method, object_id, expires, signature)

    async def receive(self, object_id: str, source: Source, announced: int | None) -> ObjectRecord:
        """Take its bytes, all or none of them; again, as long as it is UPLOADING, in place of the last ones."""
        _require_uploading(await self.get(object_id))
        self._require_room(announced)
        part = self._folder / f"{object_id}.{secrets.token_hex(8)}{_PART}"
        try:
            size = await self._written(part, source)
            if announced is not None and size != announced:
                raise InvalidError(f"{announced:,} bytes were announced for object {object_id}, {size:,} came.")
            async with self._lock(object_id):
                record = _require_uploading(await self._load(object_id))
                part.replace(self._file(object_id))
                return await self._keep(replace(record, size_bytes=size))
        finally:
            part.unlink(missing_ok=True)

    async def content(self, object_id: str) -> Content:
        """Where the bytes of a finished object lie; `NotFoundError` or `InvalidError` where it has none."""
        record = await self.get(object_id)
        if record.state == "DELETED":
            raise NotFoundError(f"Object {object_id} has been deleted.")
        if record.state != "READ_ONLY":
            raise InvalidError(f"Object {object_id} is {record.state}: upload its bytes and complete it first.")
        path = self._file(object_id)
        try:
            return Content(record, path, path.stat().st_size)
        except FileNotFoundError:
            raise EngineError(f"The bytes of object {object_id} are missing on this machine's disk.") from None

    async def path(self, object_id: str) -> Path:
        """The file of a finished object; `NotFoundError` or `InvalidError` where it has none."""
        return (await self.content(object_id)).path

    def stream(self, source: AsyncIterator[bytes]) -> Source:
        """What writes a stream's bytes to a file."""
        return lambda file: self._bulk.write(file, source)

    def read(self, content: Content, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes of an object, from `start` up to `end`."""
        return self._bulk.read(content.path, start, end)

    async def aclose(self) -> None:
        """End what is done in the background."""
        await self._deadlines.aclose()
        self._bulk.close()

    def _file(self, object_id: str) -> Path:
        return self._folder / object_id

    def _lock(self, object_id: str) -> asyncio.Lock:
        return self._locks.setdefault(object_id, asyncio.Lock())

    async def _load(self, object_id: str) -> ObjectRecord:
        body = await self._store.get("object", object_id)
        if body is None:
            raise NotFoundError(f"No object has the id {object_id!r}.")
        return ObjectRecord(**body)

    def _require_room(self, announced: int | None) -> None:
        free = shutil.disk_usage(self._folder).free
        if announced is not None and announced > free:
            raise DiskFullError(f"{announced:,} bytes do not fit: the service's disk has {free:,} left.")

    async def _written(self, part: Path, source: Source) -> int:
        try:
            return await source(part)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DiskFullError(f"The object cannot be kept: {error.strerror}.") from error

    async def _keep(self, record: ObjectRecord) -> ObjectRecord:
        await self._store.put(document(record))
        return record

    def _note_deadline(self, record: ObjectRecord) -> None:
        if record.delete_after_time_ms is not None:
            self._deadlines.add(record.id, record.delete_after_time_ms)

    async def _expire(self, object_id: str) -> None:
        await self.delete(object_id)


def _require_uploading(record: ObjectRecord) -> ObjectRecord:
    if record.state != "UPLOADING":
        raise ForbiddenError(f"Object {record.id} is {record.state} and takes no more bytes: create a new one.")
    return record


def document(record: ObjectRecord) -> Document:
    """An object as the store keeps it."""
    view = json.dumps(object_view(record), ensure_ascii=False)
    body = asdict(record)
    return Document(
        "object", record.id, body, status=record.state, name=record.name, time_ms=record.create_time_ms, view=view
    )


def object_view(record: ObjectRecord) -> dict[str, Any]:
    """`ObjectView`."""
    return {**asdict(record), "upload_url": None, "upload_headers": None}


def _keep_only(folder: Path, known: set[str]) -> None:
    for file in folder.iterdir():
        if file.name not in known:
            file.unlink()


def _sync(file: Path) -> int:
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
        size = os.fstat(handle).st_size
    finally:
        os.close(handle)
    sync_folder(file.parent)
    return size
