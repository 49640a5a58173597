"""How a service learns that this kernel is there, and that it is not any more.

A service on this machine sees it by itself: the kernel holds a lock on a file that the service gave it, and has
nothing to do when it ends. Any other service, the cloud above all, hears of it: keep-alive times are short and renewed,
which `renewals.py` does.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..client import sdk_for
from .kernel_registry import notebook

if TYPE_CHECKING:
    from ..connection import Connection

KERNEL = "x-runloop-kernel"
UNKNOWN_KERNEL = 412
"""The status with which a service refuses a kernel that it does not see."""


@dataclass(frozen=True, slots=True)
class Bond:
    """How a devbox belongs to its kernel.

    `ends`: it ends with the kernel. `renewed`: seconds of keep-alive time, which counts only from the kernel's last
    sign of life on; None where it counts from the start, as the API has it.
    """

    ends: bool
    renewed: float | None


class Presence(Protocol):
    """This kernel, on one service."""

    is_seen: bool
    """Whether the service sees by itself when the kernel has ended."""

    def headers(self, bond: Bond) -> Mapping[str, str]:
        """What to send with the request that creates a devbox."""

    def take(self, devbox_id: str, bond: Bond) -> None:
        """A devbox was created."""

    def drop(self, devbox_id: str) -> None:
        """A devbox has ended."""

    def renewed_at(self, devbox_id: str) -> float:
        """When its keep-alive time was last started again from here, in seconds since 1970; 0 for never."""

    def follow(self, connection: Connection) -> None:
        """The service came back elsewhere."""

    def begin_end(self, devbox_ids: Iterable[str]) -> Future[None]:
        """The process is about to end, and these devboxes with it; done once nothing more is to be waited for."""

    async def leave(self, devbox_ids: Iterable[str]) -> None:
        """End these devboxes although the process lives on. Raises `RunloopError` where the service does not answer."""


async def seen_presence(on: Connection) -> SeenPresence | None:
    """Make this kernel known to a service that can see it; None where it cannot."""
    from runloop_sdk import APIResponseError, APIStatusError

    if not on.may_see_kernels:
        return None
    async with sdk_for(on) as sdk:
        lock = None
        try:
            told = await sdk.api.post_json("/local/kernels", {"name": notebook()})
            kernel_id, lock = _locked(told)
            await sdk.api.post_json(f"/local/kernels/{kernel_id}/attach", {})
        except (
            APIStatusError,
            APIResponseError,
            OSError,
            LookupError,
            TypeError,
        ):  # it knows no kernels, or has its files elsewhere
            if lock is not None:
                os.close(lock)
            return None
    return SeenPresence(on, kernel_id, lock)


def _locked(told: Mapping[str, Any]) -> tuple[str, int]:
    """The id that a service gave, and its lock, held by this process. `OSError` where that cannot be."""
    kernel_id, path = str(told["id"]), Path(str(told["lock"]))
    if path.name != f"{kernel_id}.lock":
        raise FileNotFoundError(path)
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise FileNotFoundError(path)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(file)
        raise
    return kernel_id, file


class SeenPresence:
    """On a service that sees by the lock which this process holds whether it lives."""

    is_seen = True

    def __init__(self, connection: Connection, kernel_id: str, lock: int) -> None:
        self._connection = connection
        self._kernel_id = kernel_id
        self._lock = lock  # never closed while the kernel lives, and only once in all the process: that frees it

    def headers(self, bond: Bond) -> Mapping[str, str]:
        """What to send with the request that creates a devbox."""
        if not bond.ends and bond.renewed is None:
            return {}
        flags = [*(() if bond.ends else ("ends=no",)), *(() if bond.renewed else ("holds=no",))]
        return {KERNEL: "; ".join((self._kernel_id, *flags))}

    def take(self, devbox_id: str, bond: Bond) -> None:
        """Nothing to do: the service knows."""

    def drop(self, devbox_id: str) -> None:
        """Nothing to do: the service knows."""

    def renewed_at(self, devbox_id: str) -> float:
        """Never from here."""
        return 0.0

    def follow(self, connection: Connection) -> None:
        """The service came back elsewhere; it has seen the lock."""
        self._connection = connection

    def begin_end(self, devbox_ids: Iterable[str]) -> Future[None]:
        """Nothing to do: the service sees the end of the process."""
        done: Future[None] = Future()
        done.set_result(None)
        return done

    async def leave(self, devbox_ids: Iterable[str]) -> None:
        """Have the service end what ends with this kernel."""
        try:
            async with sdk_for(self._connection) as sdk:
                await sdk.api.post_json(f"/local/kernels/{self._kernel_id}/end", {})
        finally:
            os.close(self._lock)
