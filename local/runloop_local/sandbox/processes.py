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
    """The direct children of a process; none when it has ended."""
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


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
    while doomed := [pid for pid in children(os.getpid()) if pid not in keep]:
        for pid in doomed:
            for lower in descendants(pid):
                kill(lower)
            kill(pid)
            os.waitpid(pid, 0)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
