"""The files of storage objects, named by object id."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from ..errors import DiskFullError, StorageError, of_machine
from .bulk import Bulk
from .reserve import free_bytes
from .service_key import sync_folder

Source = Callable[[Path], Awaitable[int]]
"""Writes an object's bytes to a new file; returns their number."""
_PART = ".part"


class ObjectFiles:
    """The folder of all objects' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bulk = Bulk()

    def prepare(self) -> None:
        """Create the folder if there is none."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def names(self) -> list[str]:
        """The names of all files."""
        return await asyncio.to_thread(os.listdir, self._folder)

    def path(self, object_id: str) -> Path:
        """The path of an object's file."""
        return self._folder / object_id

    def part(self, object_id: str) -> Path:
        """A new path for the bytes of an object while they are received."""
        return self._folder / f"{object_id}.{secrets.token_hex(8)}{_PART}"

    def require_room(self, announced: int | None) -> None:
        """Raise `DiskFullError` if that many bytes do not fit."""
        free = free_bytes(self._folder)
        if announced is not None and announced > free:
            raise DiskFullError(f"{announced:,} bytes do not fit: the service's disk has {free:,} left.")

    async def sync(self, object_id: str) -> int:
        """Make sure that an object's file survives a power failure; returns its size."""
        return await asyncio.to_thread(_sync, self.path(object_id))

    async def remove(self, name: str) -> None:
        """Delete a file. Repeating it is not an error."""
        await asyncio.to_thread(self.path(name).unlink, missing_ok=True)

    def stream(self, source: AsyncIterator[bytes]) -> Source:
        """A source that writes a stream to a file."""
        return lambda file: self._bulk.write(file, source)

    def read(self, file: Path, start: int, end: int) -> AsyncIterator[bytes]:
        """Read bytes of a file, from `start` up to `end`."""
        return self._bulk.read(file, start, end)

    def close(self) -> None:
        """Stop the threads that read and write."""
        self._bulk.close()


def is_part(name: str) -> bool:
    """Return True for the file of an incomplete upload."""
    return name.endswith(_PART)


async def write(part: Path, source: Source) -> int:
    """Write the bytes of an object to a new file; returns their number. Raises `EngineError` if the disk fails."""
    try:
        return await source(part)
    except OSError as error:
        known = of_machine(error)
        if known is None and error.errno != errno.EIO:
            raise
        kind = StorageError if known is None else type(known)
        raise kind(f"The object cannot be stored: {error.strerror}.") from error


def _sync(file: Path) -> int:
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
        size = os.fstat(handle).st_size
    finally:
        os.close(handle)
    sync_folder(file.parent)
    return size
