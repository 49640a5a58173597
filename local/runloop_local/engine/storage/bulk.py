"""Reads and writes large files in large pieces, so that the disk and the socket work in parallel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WRITE_BYTES = 1 << 20
READ_BYTES = 512 << 10


class Bulk:
    """Copies between files and asynchronous streams, on its own threads."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, "bulk")

    async def write(self, file: Path, source: AsyncIterator[bytes]) -> int:
        """Write `source` to a new file; returns its size. Raises `OSError`."""
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        writing: asyncio.Future[int] | None = None
        size = 0
        try:
            async for pieces in _batches(source):
                size += await writing if writing is not None else 0
                writing = self._run(handle, pieces)
            size += await writing if writing is not None else 0
            writing = None
        finally:
            if writing is not None:  # the descriptor must not be closed, and reused, under a thread that writes
                await asyncio.wait({writing})
            os.close(handle)
        return size

    async def read(self, file: Path, start: int, end: int) -> AsyncIterator[bytes]:
        """Read the bytes from `start` up to `end`; the next piece is read ahead while one is sent."""
        loop = asyncio.get_running_loop()
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        reading: asyncio.Future[bytes] | None = None
        try:
            while start < end:
                wanted = min(READ_BYTES, end - start)
                data = await (reading or loop.run_in_executor(self._threads, os.pread, handle, wanted, start))
                if not data:
                    raise OSError(f"{file.name} has become shorter")
                start += len(data)
                following = (min(READ_BYTES, end - start), start)
                reading = loop.run_in_executor(self._threads, os.pread, handle, *following) if start < end else None
                yield data
        finally:
            if reading is not None:
                await asyncio.wait({reading})
            os.close(handle)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def _run(self, handle: int, pieces: list[bytes]) -> asyncio.Future[int]:
        return asyncio.get_running_loop().run_in_executor(self._threads, _write_all, handle, pieces)


async def _batches(source: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    held: list[bytes] = []
    size = 0
    async for data in source:
        if data:
            held.append(data)
            size += len(data)
        if size >= WRITE_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _write_all(handle: int, pieces: list[bytes]) -> int:
    for data in pieces:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
    return sum(map(len, pieces))
