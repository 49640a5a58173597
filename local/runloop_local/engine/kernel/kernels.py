"""Watches the kernels that devboxes belong to, and releases them when they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ..errors import StoppingError, UnknownKernelError
from ..ids import checked_id
from .kernel_connection import IDENTITY, KernelConnection
from .kernel_lock import KernelLock, KernelProcess

Release = Callable[[str], Awaitable[None]]


class _Sign(Protocol):
    """A sign of life of a kernel."""

    async def ended(self) -> None: ...

    def close(self) -> None: ...


class _Watched(msgspec.Struct, frozen=True):
    name: str
    sign: _Sign
    task: asyncio.Task[None]


class Kernels:
    """The live kernels by id; each locks a file in `folder` while it is alive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watched: dict[str, _Watched] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        self._release: Release | None = None
        self._is_closed = False

    async def restore(self, release: Release) -> None:
        """Watch the kernels of earlier runs of the service; `release` is awaited with the id of each that has ended.

        Those that ended while the service was not running are released now, in the background.
        """
        self._release = release
        with suppress(OSError):  # on a full disk, for example: the service starts without kernels
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.glob("*.lock"):
            with suppress(OSError):  # if the lock cannot be read, the kernel counts neither as live nor as ended
                sign = await asyncio.to_thread(_find, KernelLock(path))
                if sign is None:
                    self._begin_release(path.stem)
                else:
                    self._watch(path.stem, sign)

    def register(self, kernel_id: str, name: str) -> Path:
        """Create the file that a new kernel must lock before it attaches. Raises `UnknownKernelError`."""
        lock = self._lock(kernel_id)
        try:
            lock.make(name)
        except OSError as error:
            raise UnknownKernelError(f"A lock file for the kernel cannot be created: {error}.") from error
        return lock.path

    async def attach(self, kernel_id: str) -> None:
        """Watch a kernel from now on. Raises `UnknownKernelError` if the service cannot see that it holds its lock."""
        lock = self._lock(kernel_id)
        try:
            process = await asyncio.to_thread(_find_and_note, lock)
        except OSError as error:
            raise UnknownKernelError(f"The lock of kernel {kernel_id!r} cannot be read: {error}.") from error
        if process is None:
            raise UnknownKernelError(f"Kernel {kernel_id!r} does not hold its lock, as far as can be seen from here.")
        # It may attach again, as after a lost answer: one watcher is enough.
        if kernel_id in self._watched:
            process.close()
            return
        self._watch(kernel_id, process)

    async def connect(self, kernel_id: str) -> KernelConnection:
        """Watch a kernel by its connections from now on, if it is not watched yet. Raises `UnknownKernelError`."""
        watched = self._watched.get(kernel_id)
        if watched is not None and isinstance(watched.sign, KernelConnection):
            return watched.sign
        lock = self._lock(kernel_id)
        if watched is not None or not await asyncio.to_thread(lock.path.exists):
            raise UnknownKernelError(f"No kernel {kernel_id!r} is registered here that is watched by its connection.")
        await asyncio.to_thread(lock.note, IDENTITY)
        if self._is_closed:  # nobody would end the connection
            raise StoppingError("The service is stopping.")
        connection = KernelConnection()
        self._watch(kernel_id, connection)
        return connection

    async def end(self, kernel_id: str) -> None:
        """Release a kernel that gives up its devboxes while its process lives on."""
        watched = self._watched.pop(kernel_id, None)
        if watched is not None:
            watched.task.cancel()
            # A request that is cut must not leave half of the devboxes running with nobody to end them.
            await asyncio.shield(self._begin_release(kernel_id))

    def lives(self, kernel_id: str) -> bool:
        """True if the kernel is known and has not ended."""
        return kernel_id in self._watched

    def require(self, kernel_id: str) -> None:
        """Raise `UnknownKernelError` unless the kernel is known and has not ended."""
        if not self.lives(kernel_id):
            raise UnknownKernelError(f"No kernel {kernel_id!r} is attached: register it, lock its file and attach it.")

    def names(self) -> dict[str, str]:
        """The names of live kernels by id."""
        return {kernel_id: watched.name for kernel_id, watched in self._watched.items()}

    async def aclose(self) -> None:
        """Stop watching; kernels that were not released are released by the next run of the service."""
        self._is_closed = True
        tasks = {*self._releasing, *(watched.task for watched in self._watched.values())}
        self._watched.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _lock(self, kernel_id: str) -> KernelLock:
        return KernelLock(self._folder / f"{checked_id(kernel_id, 'The kernel')}.lock")

    def _watch(self, kernel_id: str, sign: _Sign) -> None:
        task = asyncio.create_task(self._await_end(kernel_id, sign))
        # However the watching ends: an open descriptor of the lock file is one of the service's few.
        task.add_done_callback(lambda _: sign.close())
        self._watched[kernel_id] = _Watched(self._lock(kernel_id).name(), sign, task)

    async def _await_end(self, kernel_id: str, sign: _Sign) -> None:
        await sign.ended()
        if self._watched.pop(kernel_id, None) is not None:
            self._begin_release(kernel_id)

    def _begin_release(self, kernel_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._release_kernel(kernel_id))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
        return task

    async def _release_kernel(self, kernel_id: str) -> None:
        if self._release is not None:
            await self._release(kernel_id)
        # Last: a service that is killed before this finds the file at its next start, and releases the kernel then.
        self._lock(kernel_id).remove()


def _find(lock: KernelLock) -> _Sign | None:
    """The sign of life of a kernel of an earlier run; None if it has ended."""
    return KernelConnection() if lock.process() == IDENTITY else KernelProcess.find(lock)


def _find_and_note(lock: KernelLock) -> KernelProcess | None:
    """Find the kernel's process, and note it for the next run of the service."""
    process = KernelProcess.find(lock)
    if process is not None:
        lock.note(process.identity)
    return process
