"""Detects whether a kernel is alive by the connections that it holds, where no lock can be shared: from a container.

The kernel's system closes them however the kernel ends. A connection is also lost without that, as when an engine's
proxy is restarted: so a kernel has ended only once it has had none for a while.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

IDENTITY = "connection"
"""What is noted as the process of such a kernel, which a later run of the service waits for."""
GRACE_SECONDS = 10.0
"""The time that a kernel has to connect again."""


class KernelConnection:
    """The connections of one kernel."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._open = 0
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A connection, which is open while the body runs."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._open += change
        self._changed.set()

    async def ended(self) -> None:
        """Wait until the kernel has ended."""
        while not await self._is_gone():
            pass

    async def _is_gone(self) -> bool:
        """Wait until it is gone, or there was a change."""
        self._changed.clear()
        if self._open:
            await self._changed.wait()
            return False
        try:
            async with asyncio.timeout(self._grace):
                await self._changed.wait()
        except TimeoutError:
            return not self._open
        return False

    async def closed(self) -> None:
        """Wait until nobody watches the kernel any more: its connections are of no use then."""
        await self._closed.wait()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
