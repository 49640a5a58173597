"""Finding and ending the processes below this one, from Linux's /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable


_PAGE = os.sysconf("SC_PAGE_SIZE")
_LITTLE, _MUCH = 1 << 20, 256 << 20


def children(pid: int) -> list[int]:
    """The direct children of a process, those of all its threads; none when it has ended."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - called thousands of times
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as above
                found += map(int, file.read().split())
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on."""
    found = children(pid)
    for child in found:  # grows while we walk
        found += children(child)
    return found


def load(pids: list[int], in_memory: int = 0) -> tuple[int, int]:
    """What these processes hold of memory, in bytes, and how many of them there are.

    `in_memory` are the bytes in file systems of theirs that are memory. What is mapped of those is not counted twice,
    so of what they share the larger is taken: what is mapped, or what lies in such file systems and in memfds.
    """
    own, sharing = {}, []
    for pid in pids:
        pages = _pages(pid)
        if pages is not None:
            own[pid] = pages[0]
            if pages[1] * _PAGE > _LITTLE:
                sharing.append(pid)
    return sum(own.values()) * _PAGE + max(_mapped(sharing), in_memory + _memfds(own)), len(own)


def _pages(pid: int) -> tuple[int, int] | None:
    """Those for itself, and those that may be shared: of files, too."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - called thousands of times
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return None
    return resident - shared, shared


def _mapped(pids: list[int]) -> int:
    """Shared memory that these have mapped. Each one's share costs milliseconds, so it is asked for where it counts."""
    found = {pid: size for pid in pids if (size := _field(f"/proc/{pid}/status", b"RssShmem:"))}
    if sum(found.values()) < _MUCH:
        return sum(found.values())
    return sum(_field(f"/proc/{pid}/smaps_rollup", b"Pss_Shmem:") or 0 for pid in found)


def _field(file: str, name: bytes) -> int | None:
    """A field in kB of one of /proc's files, in bytes."""
    try:
        with open(file, "rb") as lines:  # noqa: PTH123 - called thousands of times
            return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), None)
    except OSError:
        return None


def _memfds(pids: Iterable[int]) -> int:
    """What lies in files that are memory and have no name."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        with contextlib.suppress(OSError):
            for fd in os.listdir(folder):  # noqa: PTH208 - called thousands of times
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{fd}").startswith("/memfd:"):  # noqa: PTH115 - as above
                        about = os.stat(f"{folder}/{fd}")  # noqa: PTH116 - as above
                        found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


def end_children(keep: Container[int] = ()) -> None:
    """Kill and reap everything below this process, but for the children to keep and what is below those.

    This process must be a subreaper, so that whatever loses its parent becomes a child of this one.
    """
    while doomed := _halted(keep):
        for pid in doomed:
            kill(pid)
        for pid in _own(keep):
            if pid in doomed:
                os.waitpid(pid, 0)


def _own(keep: Container[int]) -> list[int]:
    return [pid for pid in children(os.getpid()) if pid not in keep]


def _halted(keep: Container[int]) -> set[int]:
    """Everything below this process, stopped: of many that fork, the last ones would outrun their killer."""
    stopped: set[int] = set()
    while moving := {pid for own in _own(keep) for pid in (own, *descendants(own))} - stopped:
        for pid in moving:
            kill(pid, signal.SIGSTOP)
        stopped |= moving
    return stopped


def end_with_home_in(folder: Path) -> None:
    """Kill programs whose home lies in `folder`, after everything that looked after them has been killed."""
    home = f"\0HOME={folder}/".encode()
    strays: set[int] = set()
    while more := {pid for pid in _all() if home in _environment(pid)} - strays:
        for pid in more:
            kill(pid)
        strays |= more


def _all() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # another account's, or it has ended
        return b""


def count_of_account() -> int:
    """How many processes this account has on this machine."""
    own, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        with contextlib.suppress(FileNotFoundError):
            count += entry.name.isdigit() and entry.stat().st_uid == own
    return count


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
