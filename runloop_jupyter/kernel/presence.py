"""Lets a service know that this kernel is alive, and that it has ended.

A service on this machine monitors the kernel: the kernel holds a lock on a file that the service made for it, which the
operating system releases however the process ends. Any other service, above all the cloud, relies on short keep-alive
times, which `keep_alive.py` renews.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..client import sdk_for
from .kernel_registry import notebook

if TYPE_CHECKING:
    from ..connection import Connection

KERNEL = "x-runloop-kernel"
UNKNOWN_KERNEL = 412
"""The status of a request that names a kernel which the service does not know."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The lifetime of a devbox.

    With `ends_with_kernel` it is shut down when the kernel ends. `keep_alive` is its keep-alive time in seconds, which
    the living kernel keeps from running out; None if it runs from the start, as the API defines it.
    """

    ends_with_kernel: bool
    keep_alive: float | None


class Presence(Protocol):
    """The presence of this kernel on one service."""

    is_monitored: bool
    """True if the service notices by itself that the kernel has ended."""

    def headers(self, lifetime: Lifetime) -> Mapping[str, str]:
        """The headers of the request that creates a devbox."""

    def add(self, devbox_id: str, lifetime: Lifetime) -> None:
        """Add a devbox that was created."""

    def drop(self, devbox_id: str) -> None:
        """Drop a devbox that has ended."""

    def renewed_at(self, devbox_id: str) -> float:
        """The time of the last renewal by this kernel, in seconds since 1970; 0 for never."""

    def reconnect(self, connection: Connection) -> None:
        """Follow a service that was started again at another address."""

    def start_shutdown(self, devbox_ids: Iterable[str]) -> Future[None]:
        """Begin to shut these devboxes down at exit. The future is done when there is nothing left to wait for."""

    async def shut_down(self, devbox_ids: Iterable[str]) -> None:
        """Shut these devboxes down while the process goes on. Raises `RunloopError` if the service does not answer."""


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
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
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
        if not lifetime.ends_with_kernel and lifetime.keep_alive is None:
            return {}
        flags = [*(() if lifetime.ends_with_kernel else ("ends=no",)), *(() if lifetime.keep_alive else ("holds=no",))]
        return {KERNEL: "; ".join((self._kernel_id, *flags))}

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
