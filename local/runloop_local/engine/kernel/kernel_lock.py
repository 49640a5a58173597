"""The lock by which a kernel is seen to live, and the process that holds it.

It is an fcntl lock on a file in the service's folder: `kill -9` ends it, a stopped process keeps it, and a forked child
neither gets it nor holds it for its parent. It also tells which process holds it, so that the end of that process is
heard of at once, by a pidfd. Where there is none (macOS, a kernel in another container) the lock is looked at now and
then. Its one weakness is that a process loses it by closing any descriptor of the file: a process that can be seen
and lives counts, lock or no lock.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FLOCK = ("qqihh", 2, 3) if sys.platform == "darwin" else ("hhqqi", 4, 0)
"""The layout of `struct flock`, and where in it are the process and the kind of lock."""
_LOOK = 2.0  # seconds between two looks at a lock
_ENDED = frozenset({"Z", "X"})  # states of a process that has ended and was not yet waited for


@dataclass(frozen=True, slots=True)
class KernelLock:
    """The file of one kernel. It says what the kernel is called and, once that is known, which process it is."""

    path: Path

    def make(self, name: str) -> None:
        """Make the file, which the kernel is to lock."""
        self.path.touch(mode=0o600)
        self._write({"name": name})

    def name(self) -> str:
        """What the kernel is called, in most cases its notebook."""
        return str(self._read().get("name", ""))

    def note(self, process: str | None) -> None:
        """Keep which process the kernel is. The file stays the same one: its lock is a kernel's."""
        self._write({"name": self.name(), "process": process})

    def process(self) -> str | None:
        """Which process the kernel is, as far as it was noted."""
        found = self._read().get("process")
        return found if isinstance(found, str) else None

    def remove(self) -> None:
        """Forget the kernel; where that cannot be, the next start of the service tries again."""
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
    """A process that holds a kernel's lock, or held it and lives."""

    def __init__(self, file: int, noted: str | None) -> None:
        self._file = file
        holder = _holder(file)
        self._pid = _number(noted) if holder is None else holder
        self.identity = identity(self._pid) if self._pid else None
        """The process, told apart from a later one of the same number; None where it cannot be seen."""
        self._pidfd = _pidfd(self._pid) if self._pid else None

    @classmethod
    def find(cls, lock: KernelLock) -> KernelProcess | None:
        """The kernel's process; None where it has ended. `OSError` where the lock cannot be looked at."""
        noted = lock.process()
        file = os.open(lock.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = cls(file, noted)
        except OSError:
            os.close(file)
            raise
        if found.is_meant(noted):
            return found
        found.close()
        return None

    def is_meant(self, noted: str | None) -> bool:
        """Whether what was found by its number is the process that holds the lock, or the one that was noted."""
        holder = _holder(self._file)
        if holder is None:
            return self.identity is not None and self.identity == noted
        return holder == self._pid

    def lives(self) -> bool:
        """Whether it has not ended."""
        if _holder(self._file) is not None:
            return True
        return self.identity is not None and identity(self._pid) == self.identity

    async def ended(self) -> None:
        """Return once it has."""
        if self._pidfd is not None:
            await _readable(self._pidfd)
        else:
            while await asyncio.to_thread(self._may_live):  # noqa: ASYNC110 -- what nothing announces
                await asyncio.sleep(_LOOK)

    def _may_live(self) -> bool:
        try:
            return self.lives()
        except OSError:  # a look that fails tells nothing
            return True

    def close(self) -> None:
        """Look no more."""
        os.close(self._file)
        if self._pidfd is not None:
            os.close(self._pidfd)


def identity(pid: int) -> str | None:
    """A process, told apart from one that has the same number later; None where there is none."""
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
    except OSError:  # it has ended, or is hidden from this account
        return None
    return None if state in _ENDED else f"{pid} {rest[18]} {boot}"


def _number(process: str | None) -> int:
    number = (process or "").partition(" ")[0]
    return int(number) if number.isdigit() else 0


def _holder(file: int) -> int | None:
    """The process that has locked the file: 0 where its number means nothing here, None where there is none."""
    layout, pid, kind = _FLOCK
    empty = struct.pack(layout, *(fcntl.F_WRLCK if at == kind else 0 for at in range(5)))
    found = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, empty))
    return None if found[kind] == fcntl.F_UNLCK else max(found[pid], 0)


def _pidfd(pid: int) -> int | None:
    """A descriptor that tells the end of a process; None where there are none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # another system; a process in a sandbox of its own; no descriptor left
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if told.done() else told.set_result(None))
    try:
        await told
    finally:
        loop.remove_reader(descriptor)
