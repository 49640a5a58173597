"""Schedules the expiry of many things with a single timer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

from ..ids import now_ms

_LONGEST_MS = 3600 * 1000  # clocks are set and machines sleep, so check again at least this often


class ExpiryScheduler:
    """Calls `end` with each name when it expires."""

    def __init__(self, end: Callable[[str], Awaitable[None]]) -> None:
        self._end = end
        self._queue: list[tuple[int, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def add(self, name: str, time_ms: int) -> None:
        """Let a name expire at this time."""
        heapq.heappush(self._queue, (time_ms, name))
        self._arm()

    async def aclose(self) -> None:
        """Cancel all expiries; waits for one in progress."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._ending is not None:
            await asyncio.wait({self._ending})

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # While one task ends what is due, no timer runs: it arms the next one when it is done.
        if self._queue and (self._ending is None or self._ending.done()):
            wait = min(max(0, self._queue[0][0] - now_ms()), _LONGEST_MS) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait, self._begin)

    def _begin(self) -> None:
        self._ending = asyncio.create_task(self._end_due())
        self._ending.add_done_callback(lambda _: self._arm())

    async def _end_due(self) -> None:
        while self._queue and self._queue[0][0] <= now_ms():
            await self._end(heapq.heappop(self._queue)[1])
