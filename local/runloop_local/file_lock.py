"""Locks a file for as long as its descriptor stays open: the operating system lets go of it however a process ends.

On Windows a lock covers bytes and keeps others from reading them, so it is put on one far behind the file's end.
"""

from __future__ import annotations

import errno
import os
import sys
import time

_INSTANT = 0.5  # seconds
_PAUSE = 0.01  # seconds between two attempts

if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30

    def try_lock(descriptor: int) -> bool:
        """Lock the file unless another process has; False if it has."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def is_locked(descriptor: int) -> bool:
        """True if another process has locked the file."""
        if not try_lock(descriptor):
            return True
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock the file unless another process has; False if it has."""
        return _try_flock(descriptor, fcntl.LOCK_EX)

    def is_locked(descriptor: int) -> bool:
        """True if another process has locked the file."""
        # Shared, so that two programs that ask at once do not take each other for its owner.
        if not _try_flock(descriptor, fcntl.LOCK_SH):
            return True
        # A child that another thread forks at this moment would keep the lock: unlock it, do not just close it.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    def _try_flock(descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def lock(descriptor: int) -> None:
    """Lock the file. Raises TimeoutError if another process has it for longer than it takes to ask for the lock."""
    deadline = time.monotonic() + _INSTANT
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "another process has locked it")
        time.sleep(_PAUSE)
