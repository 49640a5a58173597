"""Finds, measures and ends the descendants of this process, by Linux's /proc."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable


_PAGE = os.sysconf("SC_PAGE_SIZE")
_SMALL_SHARE, _LARGE_SHARE = 1 << 20, 256 << 20


def raise_descriptor_limit() -> None:
    """Raise the soft limit of this process to the hard one: a command takes several, and the usual limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def children(pid: int) -> list[int]:
    """The direct children of a process, forked by any of its threads; none if it has ended."""
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


def command_line(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def load(pids: list[int], in_memory: int = 0) -> tuple[int, int]:
    """The memory that these processes use, in bytes, and how many of them are alive.

    `in_memory` is the size of the files in their tmpfs. Mapped pages of those would be counted twice, so the larger
    of two figures is taken for shared memory: what is mapped, or what lies in tmpfs and memfds.
    """
    own, sharing = {}, []
    for pid in pids:
        pages = _pages(pid)
        if pages is not None:
            own[pid] = pages[0]
            if pages[1] * _PAGE > _SMALL_SHARE:
                sharing.append(pid)
    return sum(own.values()) * _PAGE + max(_mapped(sharing), in_memory + _memfds(own)), len(own)


def _pages(pid: int) -> tuple[int, int] | None:
    """The numbers of private and of shared pages, file-backed ones included; None if the process has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - called thousands of times
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return None
    return resident - shared, shared


def _mapped(pids: list[int]) -> int:
    """The shared memory that these processes have mapped.

    The exact share of each (PSS) costs milliseconds to read, so it is read only where the plain sum is large.
    """
    found = {pid: size for pid in pids if (size := _field(f"/proc/{pid}/status", b"RssShmem:"))}
    if sum(found.values()) < _LARGE_SHARE:
        return sum(found.values())
    return sum(_field(f"/proc/{pid}/smaps_rollup", b"Pss_Shmem:") or 0 for pid in found)


def _field(file: str, name: bytes) -> int | None:
    """A field of a file in /proc that is given in kB, as bytes; None if it is missing."""
    try:
        with open(file, "rb") as lines:  # noqa: PTH123 - called thousands of times
            return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), None)
    except OSError:
        return None


def _memfds(pids: Iterable[int]) -> int:
    """The size of the memfds that these processes have open, each counted once."""
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
    """Kill and reap all descendants of this process, except the children to keep and their descendants.

    This process must be a subreaper, so that whatever loses its parent becomes a child of this one.
    """
    while doomed := _stop_descendants(keep):
        for pid in doomed:
            kill(pid)
        for pid in _children_except(keep):
            if pid in doomed:
                os.waitpid(pid, 0)


def _children_except(keep: Container[int]) -> list[int]:
    return [pid for pid in children(os.getpid()) if pid not in keep]


def _stop_descendants(keep: Container[int]) -> set[int]:
    """Stop all descendants with SIGSTOP and return them.

    They are stopped before they are killed, because processes that fork could outrun being killed one by one.
    """
    stopped: set[int] = set()
    while moving := {pid for own in _children_except(keep) for pid in (own, *descendants(own))} - stopped:
        for pid in moving:
            kill(pid, signal.SIGSTOP)
        stopped |= moving
    return stopped


def end_with_home_in(folder: Path) -> None:
    """Kill processes whose HOME lies in `folder`: those of a service that was itself killed."""
    home = f"\0HOME={folder}/".encode()
    killed: set[int] = set()
    while more := {pid for pid in _all() if home in _environment(pid)} - killed:
        for pid in more:
            kill(pid)
        killed |= more


def _all() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # another account's, or it has ended
        return b""


def count_of_account() -> int:
    """The number of processes of this account on this machine."""
    own, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        with contextlib.suppress(FileNotFoundError):
            count += entry.name.isdigit() and entry.stat().st_uid == own
    return count


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
