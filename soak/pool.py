"""A pool of devboxes that scenarios share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .scenarios.context import PRINTER

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK


class Pool:
    """Lends running devboxes, each to one scenario at a time, and shuts each down after a number of uses."""

    def __init__(self, sdk: AsyncRunloopSDK, uses: int = 25) -> None:
        self._sdk = sdk
        self._uses = uses
        self._free: list[tuple[AsyncDevbox, int]] = []
        self._made = 0

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[AsyncDevbox]:
        """Lend a devbox with `printer.py` in its home folder."""
        devbox, uses = self._free.pop() if self._free else (await self._new(), 0)
        try:
            yield devbox
        finally:
            if uses + 1 < self._uses:
                self._free.append((devbox, uses + 1))
            else:
                await devbox.shutdown()

    async def aclose(self) -> None:
        """Shut down the free devboxes."""
        free, self._free = self._free, []
        for devbox, _ in free:
            await devbox.shutdown()

    async def _new(self) -> AsyncDevbox:
        self._made += 1
        return await self._sdk.devbox.create(name=f"pool-{self._made}", file_mounts={"printer.py": PRINTER})
