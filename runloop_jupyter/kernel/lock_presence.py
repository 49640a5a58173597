"""The presence of this kernel on a service that shares this machine, which monitors a lock that the kernel holds.

The lock is on a file that the service made for the kernel: the operating system releases it however the process ends.
POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..client import sdk_for
from .kernel_registry import notebook
from .monitored_presence import MonitoredPresence

if TYPE_CHECKING:
    from ..connection import Connection

assert sys.platform != "win32"


async def lock_presence(on: Connection) -> LockPresence | None:
    """Make this kernel known to a service that can monitor it; None if the service cannot."""
    from runloop_sdk import APIResponseError, APIStatusError

    if not on.may_monitor_kernels:
        return None
    async with sdk_for(on) as sdk:
        # Three steps: the service makes the file, the kernel locks it, the service begins to watch the lock. Were the
        # lock taken after that, the service could find the file unlocked and take the kernel for ended.
        lock = None
        try:
            answer = await sdk.api.post_json("/local/kernels", {"name": notebook()})
            kernel_id, lock = _locked(answer)
            await sdk.api.post_json(f"/local/kernels/{kernel_id}/attach", {})
        # The service has no such route, or does not share this machine's files.
        except (APIStatusError, APIResponseError, OSError, LookupError, TypeError):
            if lock is not None:
                os.close(lock)
            return None
    return LockPresence(on, kernel_id, lock)


def _locked(answer: Mapping[str, object]) -> tuple[str, int]:
    """The id that a service gave this kernel, and the descriptor of its file, locked. Raises OSError."""
    kernel_id, path = str(answer["id"]), Path(str(answer["lock"]))
    # The path comes from the service, which may be any program: only a regular file of the expected name is locked.
    if path.name != f"{kernel_id}.lock":
        raise FileNotFoundError(path)
    # No link is followed, and neither a FIFO nor a terminal can hold the kernel up.
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise FileNotFoundError(path)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(file)
        raise
    return kernel_id, file


class LockPresence(MonitoredPresence):
    """The presence of this kernel on a service that monitors it by a lock on a file."""

    def __init__(self, connection: Connection, kernel_id: str, lock: int) -> None:
        super().__init__(connection, kernel_id)
        # A POSIX lock is lost when the process closes any descriptor of the file: nothing else here may open it.
        self._lock = lock

    def release(self) -> None:
        """Release the lock."""
        os.close(self._lock)
