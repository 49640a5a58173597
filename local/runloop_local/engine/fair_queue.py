"""Fair queueing on the event loop, for those who may have data without end: commands, streams, files, pages.

They move one piece at a turn, and there is one turn each time the loop has served what else is ready: however many they
are, a request waits for one piece. All that moves data of one devbox is a *flow*, and flows take turns. While a request
to another devbox waits, pieces are small, and a flow that has moved much rests after each. So the service is free when
that request goes on, and a command that prints more than is read waits, and leaves the processors to others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Piece = Callable[[int], object]
    """Moves up to so many bytes."""

PIECE_BYTES = 256 * 1024
"""The most that is moved at one turn."""
SMALL_PIECE_BYTES = 64 * 1024
"""The same while others wait: about a tenth of a millisecond of copying."""
BURST_BYTES = 4 << 20
"""So much may be moved at once without a rest, and so much more in each second:"""
_BYTES_PER_S = 16 << 20
_REST_S = 0.002
_MOMENT_S = 0.25
"""Requests that take longer, as those for streams do, are not waited for."""


class FairQueue:
    """The flows of one event loop."""

    def __init__(self, rest_s: float = _REST_S, moment_s: float = _MOMENT_S) -> None:
        """Seconds that a flow rests for the sake of others' requests, and how long it does so for one of them."""
        self.rest_s = rest_s
        self._moment_s = moment_s
        self._waiting: deque[Flow] = deque()
        self._taken = False
        self._requests: dict[object, tuple[str, float]] = {}

    def flow(self, owner: str) -> Flow:
        """A new flow, for all that moves data of `owner`, which is a devbox or a build."""
        return Flow(self, owner)

    @contextmanager
    def request(self, owner: str) -> Iterator[None]:
        """The time of a request to `owner`."""
        key = object()
        self._requests[key] = owner, asyncio.get_running_loop().time() + self._moment_s
        try:
            yield
        finally:
            self._requests.pop(key, None)

    def others_wait(self, owner: str) -> bool:
        """Whether a request to somebody else waits."""
        now = asyncio.get_running_loop().time()
        for key in [key for key, (_, end) in self._requests.items() if end <= now]:
            del self._requests[key]
        return any(other != owner for other, _ in self._requests.values())

    def take(self) -> bool:
        """Take the turn; False if somebody has had it."""
        if self._taken:
            return False
        self._taken = True
        self._come_round()
        return True

    def wait(self, flow: Flow) -> None:
        """Serve the flow once, after those that wait already."""
        self._waiting.append(flow)
        self.take()

    def _come_round(self) -> None:
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if not self._waiting:
            self._taken = False
            return
        try:
            self._waiting.popleft().serve()
        finally:
            self._come_round()  # behind a task that has been given the turn


class Flow:
    """The turns of one devbox or build."""

    def __init__(self, queue: FairQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._pieces: deque[Piece] = deque()
        self._rests = False
        self._left = float(BURST_BYTES)
        self._counted_at = 0.0

    def ask(self, piece: Piece) -> None:
        """Call `piece` once, at a turn: now, if nobody has had this one."""
        self._pieces.append(piece)
        if len(self._pieces) > 1 or self._rests:
            return
        if self._queue.take():
            self.serve()
        else:
            self._queue.wait(self)

    async def turn(self) -> int:
        """Wait for a turn; how many bytes may be moved before the next await."""
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ask(lambda most: None if granted.done() else granted.set_result(most))
        return granted.result() if granted.done() else await granted

    def moved(self, count: int) -> None:
        """So many bytes were moved at a turn."""
        now = asyncio.get_running_loop().time()
        left = min(self._left + (now - self._counted_at) * _BYTES_PER_S, BURST_BYTES)
        self._left, self._counted_at = max(left - count, 0), now

    def request(self) -> AbstractContextManager[None]:
        """The time of a request to the flow's owner."""
        return self._queue.request(self._owner)

    def serve(self) -> None:
        """Call the piece that has waited longest."""
        piece = self._pieces.popleft()
        others_wait = self._queue.others_wait(self._owner)
        if others_wait and not self._left:
            self._rests = True
            asyncio.get_running_loop().call_later(self._queue.rest_s, self._go_on)
        elif self._pieces:
            self._queue.wait(self)
        piece(SMALL_PIECE_BYTES if others_wait else PIECE_BYTES)

    def _go_on(self) -> None:
        self._rests = False
        if self._pieces:
            self._queue.wait(self)
