"""Room on the disk that is set aside, so that what makes room works when there is none."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 2 << 20
STEP = 128 << 10
"""So much is given back at once: more than most changes of records take, as others may be faster to use the rest."""
RELEASES = BYTES // STEP
"""So often can some be given back before there is none."""
_FOR_A_START = 4
_MARGIN = 64 << 10
"""So much is left to others while room is set aside."""


class Reserve:
    """A file that takes up room, and becomes shorter at need. Nothing else is done with it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = _size_of(file)

    def prepare(self) -> None:
        """For the start of the service: room is set aside, or, on a full disk, given to the start."""
        if free_bytes(self._file.parent) < _MARGIN:
            for _ in range(_FOR_A_START):
                self.release()
        else:
            self.restore()

    def release(self) -> bool:
        """Give some of the room back; False when there is none."""
        if not self._size:
            return False
        self._size = max(0, self._size - STEP)
        os.truncate(self._file, self._size)
        return True

    def restore(self) -> None:
        """Set room aside again, as far as there is some by now."""
        missing = BYTES - self._size
        if missing <= 0:
            return
        missing = min(missing, free_bytes(self._file.parent) - _MARGIN)
        if missing > 0:
            with suppress(OSError):  # there is less than it seemed, by a quota say: what did fit is set aside
                _lengthen(self._file, missing)
            self._size = _size_of(self._file)


def free_bytes(folder: Path) -> int:
    """What this account may still write to the disk on which `folder` lies."""
    found = os.statvfs(folder)
    return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _lengthen(file: Path, count: int) -> None:
    with file.open("ab") as lengthened:
        lengthened.write(os.urandom(count))  # zeros may take no room
