"""Detects whether a kernel is alive, by a lock and the process that holds it.

It is an fcntl lock on a file in the service's folder: `kill -9` releases it, a stopped process keeps it, and a forked
child neither inherits it nor keeps it for its parent. It also tells the holder's process id, so a pidfd announces the
end of that process at once. Without a pidfd (macOS, a kernel in another container) the lock is polled. Its weakness is
that a process loses it by closing any descriptor of the file: a process that is visible and alive counts even without.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

_FLOCK = ("qqihh", 2, 3) if sys.platform == "darwin" else ("hhqqi", 4, 0)
"""The layout of `struct flock`, and the indexes of the process id and the lock type in it."""
_POLL_SECONDS = 2.0  # seconds between polls of a lock
_ENDED = frozenset({"Z", "X"})  # states of a process that has ended but is not reaped yet


class KernelLock(msgspec.Struct, frozen=True):
    """The lock file of one kernel, which contains its name and, once known, the identity of its process."""

    path: Path

    def make(self, name: str) -> None:
        """Create the file for the kernel to lock."""
        self.path.touch(mode=0o600)
        self._write({"name": name})

    def name(self) -> str:
        """The name of the kernel, usually its notebook's."""
        return str(self._read().get("name", ""))

    def note(self, process: str | None) -> None:
        """Store the identity of the kernel's process. Written in place, as replacing the file would lose the lock."""
        self._write({"name": self.name(), "process": process})

    def process(self) -> str | None:
        """The stored identity of the kernel's process, or None."""
        found = self._read().get("process")
        return found if isinstance(found, str) else None

    def remove(self) -> None:
        """Delete the file; if that fails, the next start of the service tries again."""
        with suppress(OSError):
            self.path.unlink()

    def _read(self) -> dict[str, object]:
        with suppress(FileNotFoundError, ValueError):
            body = json.loads(self.path.read_text())
            return body if isinstance(body, dict) else {}
        return {}

    def _write(self, body: dict[str, str | None]) -> None:
        self.path.write_text(json.dumps(body))


class KernelProcess:
    """A live process that holds a kernel's lock, or has held it."""

    def __init__(self, file: int, noted: str | None) -> None:
        self._file = file
        holder = _holder(file)
        self._pid = _number(noted) if holder is None else holder
        self.identity = identity(self._pid) if self._pid else None
        """Identifies the process even if its id is reused later; None if it is not visible."""
        self._pidfd = _pidfd(self._pid) if self._pid else None

    @classmethod
    def find(cls, lock: KernelLock) -> KernelProcess | None:
        """Find the kernel's process; None if it has ended. Raises `OSError` if the lock cannot be read."""
        noted = lock.process()
        file = os.open(lock.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = cls(file, noted)
        except OSError:
            os.close(file)
            raise
        try:
            is_expected = found.is_expected(noted)
        except OSError:
            found.close()
            raise
        if is_expected:
            return found
        found.close()
        return None

    def is_expected(self, noted: str | None) -> bool:
        """True if the process found by its id is the one that holds the lock, or the one that was noted."""
        holder = _holder(self._file)
        if holder is None:
            return self.identity is not None and self.identity == noted
        return holder == self._pid

    def is_alive(self) -> bool:
        """True if it has not ended."""
        if _holder(self._file) is not None:
            return True
        return self.identity is not None and identity(self._pid) == self.identity

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._pidfd is not None:
            await _readable(self._pidfd)
        else:
            while await asyncio.to_thread(self._is_maybe_alive):  # noqa: ASYNC110 -- there is no event for it
                await asyncio.sleep(_POLL_SECONDS)

    def _is_maybe_alive(self) -> bool:
        try:
            return self.is_alive()
        except OSError:  # unknown
            return True

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._file)
        if self._pidfd is not None:
            os.close(self._pidfd)


def identity(pid: int) -> str | None:
    """Identifies a process even if its id is reused later; None if it does not exist."""
    if sys.platform == "linux":
        return _linux_identity(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return str(pid)


def _linux_identity(pid: int) -> str | None:
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # ended, or hidden from this account
        return None
    return None if state in _ENDED else f"{pid} {rest[18]} {boot}"


def _number(process: str | None) -> int:
    number = (process or "").partition(" ")[0]
    return int(number) if number.isdigit() else 0


def _holder(file: int) -> int | None:
    """The id of the process that has locked the file: 0 if it is in another PID namespace, None if it is unlocked."""
    # F_GETLK takes no lock; it reports the lock that would prevent a write lock, with its owner.
    layout, pid, kind = _FLOCK
    empty = struct.pack(layout, *(fcntl.F_WRLCK if at == kind else 0 for at in range(5)))
    found = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, empty))
    return None if found[kind] == fcntl.F_UNLCK else max(found[pid], 0)


def _pidfd(pid: int) -> int | None:
    """A pidfd of a process, or None."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux; a process in another namespace; no free descriptor
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ended.done() else ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
