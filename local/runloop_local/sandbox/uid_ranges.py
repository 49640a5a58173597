"""Allocates ranges of this machine's user ids to sandboxes, so that what the kernel limits by uid is per sandbox.

A sandbox holds its range while its processes run. Disks store other ids, which idmapped mounts translate.
"""

from __future__ import annotations

import errno
import fcntl
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 0x10000
_RANGES = range(0x77390000, 0x7FFE0000, SIZE)
"""Above what shadow (subuid), systemd (containers) and sssd (domain accounts) assign, and below 2**31."""
_ACCOUNTS = ("passwd", "group")
_SUBORDINATE = ("subuid", "subgid")


class Claim(NamedTuple):
    """The resources that a sandbox holds exclusively while its processes run."""

    first_uid: int = 0
    """The first uid of its range; 0 if it has none."""
    descriptors: tuple[int, ...] = ()
    """Descriptors of the helper process that its agent inherits."""


class UidRanges:
    """The uid ranges held by this service, disjoint from those of other services on this machine."""

    def __init__(self, folder: Path = Path("/run/runloop-local"), accounts: Path = Path("/etc")) -> None:
        self._folder = folder
        self._accounts = accounts
        self._taken: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """Take a free range, `wanted` if possible, else the lowest one; returns its first id."""
        usable = self._usable
        if wanted in usable:
            usable = [wanted, *usable]
        for first in usable:
            if first not in self._taken and self._lock(first):
                self._taken.add(first)
                return first
        raise OSError(errno.EUSERS, "all ranges of user ids for sandboxes are in use")

    def release(self, first: int) -> None:
        """Release a range whose last process has ended."""
        self._taken.remove(first)
        fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _number(first))

    @cached_property
    def _locks(self) -> int:
        """A descriptor of a file with one byte to lock per range.

        POSIX locks belong to the process, are not inherited by forks, and are released however the process ends.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._folder / "uid-ranges", flags, 0o600)

    @cached_property
    def _usable(self) -> list[int]:
        foreign = [*assigned_ids(self._accounts)]
        return [first for first in _RANGES if not any(_overlap(first, SIZE, *other) for other in foreign)]

    def _lock(self, first: int) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _number(first))
        except (BlockingIOError, PermissionError):  # another service has it
            return False
        return True


def assigned_ids(folder: Path) -> Iterator[tuple[int, int]]:
    """The ids that this machine has assigned to accounts: first id and count of each range."""
    for name in _ACCOUNTS:
        for fields in _entries(folder / name):
            if len(fields) > 2 and fields[2].isdigit():
                yield int(fields[2]), 1
    for name in _SUBORDINATE:
        for fields in _entries(folder / name):
            if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
                yield int(fields[1]), int(fields[2])


def _entries(file: Path) -> list[list[str]]:
    try:
        return [line.split(":") for line in file.read_text(errors="replace").splitlines()]
    except FileNotFoundError:
        return []


def _overlap(first: int, size: int, other: int, other_size: int) -> bool:
    return first < other + other_size and other < first + size


def _number(first: int) -> int:
    return (first - _RANGES.start) // SIZE
