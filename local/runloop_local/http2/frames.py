"""Frames as they arrive, and how many of those that carry nothing a client may send."""

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
"""A request that is taken back has cost as much work as any."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame with its head."""

    kind: int
    flags: int
    octets: bytes

    @property
    def cost(self) -> int:
        """What it takes from the allowance: nothing for a request, for much of a body, or for the end of one."""
        if self.kind == DATA:
            return int(len(self.octets) - HEAD_BYTES < _SMALL and not self.flags & _END_STREAM)
        return _COSTS.get(self.kind, 1)


class FrameTooLongError(Exception):
    """A client sends a longer frame than it has been told is taken."""


class FrameSplitter:
    """Cuts what arrives into frames of at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = bytearray()

    def split(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now; `FrameTooLongError` once the next would be too long."""
        self._held += data
        while len(self._held) >= HEAD_BYTES:
            length = int.from_bytes(self._held[:3])
            if length > self._most:
                raise FrameTooLongError
            end = HEAD_BYTES + length
            if len(self._held) < end:
                return
            octets = bytes(self._held[:end])
            del self._held[:end]
            yield Frame(octets[3], octets[4], octets)


class Allowance:
    """What a client may still spend on frames that bring nothing: `most` at once, and `per_second` in the long run.

    Pings, settings, resets, empty data and the like cost the sender nothing and the service its time.
    """

    def __init__(self, most: float, per_second: float, now: float) -> None:
        self._most = most
        self._per_second = per_second
        self._left = most
        self._at = now

    def spend(self, cost: int, now: float) -> bool:
        """Whether there was that much left."""
        self.earn((now - self._at) * self._per_second)
        self._at = now
        self._left -= cost
        return self._left >= 0

    def earn(self, more: float) -> None:
        """So much more, as the client has reason to send some."""
        self._left = min(self._most, self._left + more)
