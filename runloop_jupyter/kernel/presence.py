"""Lets a service know that this kernel is alive, and that it has ended.

A service on this machine monitors the kernel by a lock that it holds (`lock_presence.py`), or, in a container, by a
connection (`connection_presence.py`). Any other service, above all the cloud, relies on short keep-alive times, which
`keep_alive.py` renews.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from ..connection import Connection

KERNEL = "x-runloop-kernel"
UNKNOWN_KERNEL = 412
"""The status of a request that names a kernel which the service does not know."""


class Lifetime(NamedTuple):
    """The lifetime of a devbox.

    With `ends_with_kernel` it is shut down when the kernel ends. `keep_alive` is its keep-alive time in seconds, which
    the living kernel keeps from running out; None if it runs from the start, as the API defines it.
    """

    ends_with_kernel: bool
    keep_alive: float | None


def headers_of(kernel_id: str, lifetime: Lifetime) -> Mapping[str, str]:
    """The header that names a kernel to a service that monitors it, and how the devbox differs from its others."""
    if not lifetime.ends_with_kernel and lifetime.keep_alive is None:
        return {}
    flags = [*(() if lifetime.ends_with_kernel else ("ends=no",)), *(() if lifetime.keep_alive else ("holds=no",))]
    return {KERNEL: "; ".join((kernel_id, *flags))}


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
