"""The presence of this kernel on a service that shares this machine, which monitors a lock that the kernel holds.

The lock is on a file that the service made for the kernel: the operating system releases it however the process ends.
POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from ..client import sdk_for
from .kernel_registry import notebook
from .presence import headers_of

if TYPE_CHECKING:
    from ..connection import Connection
    from .presence import Lifetime

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


class LockPresence:
    """The presence of this kernel on a service that monitors it by a lock on a file."""

    is_monitored = True

    def __init__(self, connection: Connection, kernel_id: str, lock: int) -> None:
        self._connection = connection
        self._kernel_id = kernel_id
        # A POSIX lock is lost when the process closes any descriptor of the file: nothing else here may open it.
        self._lock = lock

    def headers(self, lifetime: Lifetime) -> Mapping[str, str]:
        """The header that names this kernel, and how the devbox differs from one that ends with it."""
        return headers_of(self._kernel_id, lifetime)

    def add(self, devbox_id: str, lifetime: Lifetime) -> None:
        """Do nothing: the service keeps its own list."""

    def drop(self, devbox_id: str) -> None:
        """Do nothing: the service keeps its own list."""

    def renewed_at(self, devbox_id: str) -> float:
        """0: the kernel renews nothing."""
        return 0.0

    def reconnect(self, connection: Connection) -> None:
        """Follow a service that was started again at another address. The lock still holds: the file is the same."""
        self._connection = connection

    def start_shutdown(self, devbox_ids: Iterable[str]) -> Future[None]:
        """Do nothing: the service notices the end of the process."""
        done: Future[None] = Future()
        done.set_result(None)
        return done

    async def shut_down(self, devbox_ids: Iterable[str]) -> None:
        """Have the service shut down the devboxes that end with this kernel."""
        try:
            async with sdk_for(self._connection) as sdk:
                await sdk.api.post_json(f"/local/kernels/{self._kernel_id}/end", {})
        finally:
            # Even if the service cannot be reached: the lock is how it would learn of this kernel's end by itself.
            os.close(self._lock)
