"""Turns in which the requests and streams of one event loop work, so that all together do not hold it up."""

from __future__ import annotations

import asyncio
from collections import deque

_SECONDS = 0.005
"""Time that all together may work in one round of the loop: a timer or a click waits no longer for them."""


class Turns:
    """Gives each round of the event loop as much work as fits into a few milliseconds; the rest waits its turn.

    A loop runs all callbacks that are ready before it looks at its timers and sockets again. Forty streams with a
    piece each, of a millisecond or two, would hold it up for all of them together; so would two hundred requests.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._round_ends: float | None = None  # None as long as nobody has worked in this round
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def next(self) -> None:
        """Return when the caller may do a piece of its work; those who wait get their turns in the order they came."""
        loop = asyncio.get_running_loop()
        if self._round_ends is None:
            self._begin_round(loop)
        elif self._waiting or loop.time() >= self._round_ends:
            waiter = loop.create_future()
            self._waiting.append(waiter)
            await waiter

    def _begin_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._round_ends = loop.time() + self._seconds
        loop.call_soon(self._end_round, loop)

    def _end_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._round_ends = None
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else it was given up meanwhile
                # One in each round, as nobody knows how long it will work.
                self._begin_round(loop)
                waiter.set_result(None)
                return
