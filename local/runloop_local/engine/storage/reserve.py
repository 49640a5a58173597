"""Reserves disk space, so that operations which free space still work on a full disk."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 2 << 20
STEP = 128 << 10
"""The amount to release at once: more than most changes of records need, as other programs may take some of it."""
RELEASES = BYTES // STEP
"""The number of releases until the reserve is empty."""
_RELEASES_FOR_START = 4
_MARGIN = 64 << 10
"""Space that is left to other programs when the reserve is filled."""


class Reserve:
    """A file that occupies disk space, and is truncated to release it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = _size_of(file)

    def make_room(self) -> None:
        """Release some of the reserve for the start of the service, if the disk is full."""
        if free_bytes(self._file.parent) < _MARGIN:
            for _ in range(_RELEASES_FOR_START):
                self.release()

    def release(self) -> bool:
        """Release some of the space; False if there is none left."""
        if not self._size:
            return False
        self._size = max(0, self._size - STEP)
        os.truncate(self._file, self._size)
        return True

    def restore(self) -> None:
        """Fill the reserve again, as far as there is space."""
        missing = BYTES - self._size
        if missing <= 0:
            return
        missing = min(missing, free_bytes(self._file.parent) - _MARGIN)
        if missing > 0:
            with suppress(OSError):  # less space than expected, by a quota for example: what was written stays
                _append(self._file, missing)
            self._size = _size_of(self._file)


def free_bytes(folder: Path) -> int:
    """The space that is available to this account on the disk of `folder`."""
    found = os.statvfs(folder)
    return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _append(file: Path, count: int) -> None:
    with file.open("ab") as lengthened:
        lengthened.write(os.urandom(count))  # some file systems do not store zeros
