"""Splits received data into frames, and limits the rate of frames that carry no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_BYTES = 9
DATA, HEADERS, RESET, GOAWAY = 0x0, 0x1, 0x3, 0x7
_END_STREAM = 0x1
_SMALL = 256
_COSTS = {HEADERS: 0, RESET: 10}
"""Requests cost nothing, unless they are reset (the rapid reset attack): their work is done by then."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, including its header."""

    kind: int
    flags: int
    octets: bytes

    @property
    def cost(self) -> int:
        """The tokens it costs: none for a request, for a large part of a body, or for the end of one."""
        if self.kind == DATA:
            return int(len(self.octets) - HEAD_BYTES < _SMALL and not self.flags & _END_STREAM)
        return _COSTS.get(self.kind, 1)


class FrameTooLongError(Exception):
    """A client sent a frame that exceeds the announced maximum."""


class FrameSplitter:
    """Splits received data into frames of at most `max_bytes` bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def split(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now; raises `FrameTooLongError`."""
        self._buffer += data
        while len(self._buffer) >= HEAD_BYTES:
            length = int.from_bytes(self._buffer[:3])
            if length > self._max_bytes:
                raise FrameTooLongError
            end = HEAD_BYTES + length
            if len(self._buffer) < end:
                return
            octets = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield Frame(octets[3], octets[4], octets)


class TokenBucket:
    """A token bucket for frames that carry no data: at most `capacity` tokens, refilled by `per_second`.

    Pings, settings, resets and empty data frames cost the sender nothing, but take the service's time.
    """

    def __init__(self, capacity: float, per_second: float, now: float) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._tokens = capacity
        self._updated = now

    def take(self, cost: int, now: float) -> bool:
        """Take tokens; False if there were too few."""
        self.refill((now - self._updated) * self._per_second)
        self._updated = now
        self._tokens -= cost
        return self._tokens >= 0

    def refill(self, tokens: float) -> None:
        """Add tokens, up to the capacity."""
        self._tokens = min(self._capacity, self._tokens + tokens)
