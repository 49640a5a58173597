"""Finding and ending the processes below this one, from Linux's /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


_PAGE = os.sysconf("SC_PAGE_SIZE")


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


def load(pids: list[int]) -> tuple[int, int]:
    """What these processes hold of memory for themselves, in bytes, and how many of them there are."""
    found = [pages for pid in pids if (pages := _own_pages(pid)) is not None]
    return sum(found) * _PAGE, len(found)


def _own_pages(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - called thousands of times
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return None
    return resident - shared


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
