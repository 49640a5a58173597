"""Fair queueing on the event loop for unbounded transfers: command output, streams, files, tunnels.

A transfer moves one piece per turn, and there is one turn in each iteration of the event loop: however many transfers
there are, a request waits for one piece. All transfers of one devbox form a *flow*, and flows take turns. While a
request to another devbox is waiting, pieces are small, and a flow that has moved much pauses after each. So the event
loop is free when that request continues, and a command that prints faster than it is read is slowed down.
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
    """Moves up to the given number of bytes."""

PIECE_BYTES = 256 * 1024
"""The maximum per turn."""
SMALL_PIECE_BYTES = 64 * 1024
"""The maximum per turn while others wait: about a tenth of a millisecond of copying."""
BURST_BYTES = 4 << 20
"""The size of a flow's token bucket, which is refilled by `_BYTES_PER_S`; an empty one makes it pause."""
_BYTES_PER_S = 16 << 20
_PAUSE_S = 0.002
_PRIORITY_S = 0.25
"""Requests are given priority for this long; those for streams take longer."""


class FairQueue:
    """The flows of one event loop."""

    def __init__(self, pause_s: float = _PAUSE_S, priority_s: float = _PRIORITY_S) -> None:
        """`pause_s` is the pause of a flow while others wait; `priority_s` how long one request can cause pauses."""
        self.pause_s = pause_s
        self._priority_s = priority_s
        self._waiting: deque[Flow] = deque()
        self._taken = False
        self._requests: dict[object, tuple[str, float]] = {}

    def flow(self, owner: str) -> Flow:
        """Create the flow of `owner`, which is a devbox or a build."""
        return Flow(self, owner)

    @contextmanager
    def request(self, owner: str) -> Iterator[None]:
        """Give a request to `owner` priority over other flows while it lasts."""
        key = object()
        self._requests[key] = owner, asyncio.get_running_loop().time() + self._priority_s
        try:
            yield
        finally:
            self._requests.pop(key, None)

    def others_wait(self, owner: str) -> bool:
        """True if a request to another owner is waiting."""
        now = asyncio.get_running_loop().time()
        # A stream that somebody follows for hours is a request as well: it has priority only at its beginning.
        for key in [key for key, (_, end) in self._requests.items() if end <= now]:
            del self._requests[key]
        return any(other != owner for other, _ in self._requests.values())

    def take(self) -> bool:
        """Take this iteration's turn; False if it is taken."""
        if self._taken:
            return False
        # The next flow comes by `call_soon`, that is after all that this iteration of the loop has ready: requests too.
        self._taken = True
        self._schedule_next()
        return True

    def wait(self, flow: Flow) -> None:
        """Queue the flow for one turn."""
        self._waiting.append(flow)
        self.take()

    def _schedule_next(self) -> None:
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if not self._waiting:
            self._taken = False
            return
        try:
            self._waiting.popleft().serve()
        finally:
            self._schedule_next()  # runs after a task that was given this turn


class Flow:
    """The transfers of one devbox or build."""

    def __init__(self, queue: FairQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._pieces: deque[Piece] = deque()
        self._is_paused = False
        self._tokens = float(BURST_BYTES)
        self._refilled_at = 0.0

    def ask(self, piece: Piece) -> None:
        """Call `piece` once, at the flow's next turn, which may be now."""
        self._pieces.append(piece)
        # The flow waits for its turn already; its pieces are served in their order.
        if len(self._pieces) > 1 or self._is_paused:
            return
        if self._queue.take():
            self.serve()
        else:
            self._queue.wait(self)

    async def turn(self) -> int:
        """Wait for a turn; returns the number of bytes that may be moved before the next await."""
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ask(lambda max_bytes: None if granted.done() else granted.set_result(max_bytes))
        return granted.result() if granted.done() else await granted

    def moved(self, count: int) -> None:
        """Charge the flow for bytes that were moved."""
        now = asyncio.get_running_loop().time()
        tokens = min(self._tokens + (now - self._refilled_at) * _BYTES_PER_S, BURST_BYTES)
        # Never below zero: one large piece must not make the flow pause for seconds afterwards.
        self._tokens, self._refilled_at = max(tokens - count, 0), now

    def request(self) -> AbstractContextManager[None]:
        """Give a request to the flow's owner priority over other flows while it lasts."""
        return self._queue.request(self._owner)

    def serve(self) -> None:
        """Use a turn: call the piece that has waited longest."""
        piece = self._pieces.popleft()
        others_wait = self._queue.others_wait(self._owner)
        # Queued again before the piece is called, which may itself ask for the next turn.
        if others_wait and not self._tokens:
            self._is_paused = True
            asyncio.get_running_loop().call_later(self._queue.pause_s, self._resume)
        elif self._pieces:
            self._queue.wait(self)
        piece(SMALL_PIECE_BYTES if others_wait else PIECE_BYTES)

    def _resume(self) -> None:
        self._is_paused = False
        if self._pieces:
            self._queue.wait(self)
