"""The presence of this kernel on a service that monitors it, in one way or another, and ends its devboxes by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ..client import sdk_for
from .presence import headers_of

if TYPE_CHECKING:
    from ..connection import Connection
    from .presence import Lifetime


class MonitoredPresence:
    """A `Presence` that needs no renewals: the service has a list of the kernel's devboxes, and sees the kernel end."""

    is_monitored = True

    def __init__(self, connection: Connection, kernel_id: str) -> None:
        self._connection = connection
        self._kernel_id = kernel_id

    def release(self) -> None:
        """Let go of what the service monitors, as the end of this process would."""
        raise NotImplementedError

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
        """Follow a service that was started again at another address."""
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
            # Even if the service cannot be reached: this is how it would learn of the kernel's end by itself.
            self.release()
