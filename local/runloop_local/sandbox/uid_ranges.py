"""Which user ids of this machine a sandbox has for itself: the kernel counts much by user id, and so by sandbox.

A range is a sandbox's while its processes run. Disks do not know it: idmapped mounts translate what is stored.
"""

from __future__ import annotations

import errno
import fcntl
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 0x10000
_RANGES = range(0x77390000, 0x7FFE0000, SIZE)
"""Above what shadow (subuid), systemd (containers) and sssd (accounts of a domain) give out, below 2 to the 31."""
_ACCOUNTS = ("passwd", "group")
_SUBORDINATE = ("subuid", "subgid")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sandbox has for itself while its processes run."""

    first_uid: int = 0
    """Of its range; 0 where it has none."""
    descriptors: tuple[int, ...] = ()
    """What its agent needs of the helper process."""


class UidRanges:
    """The ranges that one service takes, apart from those of all others on this machine."""

    def __init__(self, folder: Path = Path("/run/runloop-local"), accounts: Path = Path("/etc")) -> None:
        self._folder = folder
        self._accounts = accounts
        self._taken: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """The first id of a range that nobody else has: the one that is wanted, or the lowest, to use them again."""
        usable = self._usable
        if wanted in usable:
            usable = [wanted, *usable]
        for first in usable:
            if first not in self._taken and self._lock(first):
                self._taken.add(first)
                return first
        raise OSError(errno.EUSERS, "all ranges of user ids for sandboxes are in use")

    def release(self, first: int) -> None:
        """Give a range back whose last process has ended."""
        self._taken.remove(first)
        fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _number(first))

    @cached_property
    def _locks(self) -> int:
        """A file with a lock for each range, by its number. They are the process's, not inherited, and end with it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._folder / "uid-ranges", flags, 0o600)

    @cached_property
    def _usable(self) -> list[int]:
        foreign = [*given_out(self._accounts)]
        return [first for first in _RANGES if not any(_overlap(first, SIZE, *other) for other in foreign)]

    def _lock(self, first: int) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _number(first))
        except (BlockingIOError, PermissionError):  # another service has it
            return False
        return True


def given_out(folder: Path) -> Iterator[tuple[int, int]]:
    """The first id and the size of what this machine's accounts have."""
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
