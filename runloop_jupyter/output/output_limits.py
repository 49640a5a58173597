"""What of a long output a cell shows: its head at once, its tail at the end, a line about what lies between."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .terminal_text import without_colours

if TYPE_CHECKING:
    from .transcript import Stream

# Below this many characters a message is not worth sending while more than that waits.
_WORTH_A_MESSAGE = 4096
_MOST_BYTES = 6  # of one character in JSON


@dataclass(frozen=True)
class DisplayLimits:
    """How much a cell shows of its command's output, and how often; sizes in characters, times in seconds."""

    head: int = 400_000
    head_lines: int = 2_000
    tail: int = 100_000
    tail_lines: int = 500
    interval: float = 0.04
    silence: float = 2.0


class RateLimiter:
    """Keeps messages below the limit of Jupyter's server, which drops those beyond 1 MB/s over three seconds."""

    def __init__(self, *, rate: float = 800_000, burst: float = 400_000) -> None:
        self._rate = rate
        self._burst = burst
        self._allowance = burst
        self._updated = time.monotonic()

    def part(self, text: str) -> tuple[str, str]:
        """Part what may be sent now from what has to wait, between lines if possible."""
        self._fill()
        cost = _cost(text)
        if cost > self._allowance:
            fitting = max(0, int(len(text) * self._allowance / cost))
            cut = text.rfind("\n", 0, fitting) + 1 or (fitting if fitting >= _WORTH_A_MESSAGE else 0)
            text, rest = text[:cut], text[cut:]
            cost = _cost(text)
        else:
            rest = ""
        self._allowance -= cost
        return text, rest

    def takes(self, text: str) -> bool:
        """Whether all of it may be sent now; it counts as sent then."""
        self._fill()
        cost = _cost(text)
        if cost > self._allowance:
            return False
        self._allowance -= cost
        return True

    def fitting(self, text: str) -> str:
        """A text that may be sent at once some time: without its colours, and cut, where it is too long for that."""
        if _cost(text) > self._burst:
            text = without_colours(text)
            text = text[-int(self._burst) // _MOST_BYTES :] if _cost(text) > self._burst else text
        return text

    def _fill(self) -> None:
        now = time.monotonic()
        self._allowance = min(self._burst, self._allowance + (now - self._updated) * self._rate)
        self._updated = now


class Tail:
    """Keeps the end of the output and counts what it drops before."""

    def __init__(self, limit: int, lines: int) -> None:
        self._limit = limit
        self._line_limit = lines
        self._runs: deque[tuple[Stream, str]] = deque()
        self._size = 0
        self._dropped = 0
        self._dropped_lines = 0

    def append(self, stream: Stream, text: str) -> None:
        """Add text to the end."""
        self._runs.append((stream, text))
        self._size += len(text)
        while self._size - len(self._runs[0][1]) >= self._limit:  # whole runs: cheap however small the texts are
            self._drop(len(self._runs[0][1]))

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def size_in_words(self) -> str:
        """How much has come in all."""
        return _in_bytes(self._dropped + self._size)

    @property
    def hidden(self) -> str:
        """How much was dropped, in words; empty if nothing was."""
        if not self._dropped:
            return ""
        return f"{_in_bytes(self._dropped)} in {self._dropped_lines:,} lines"

    def end(self) -> list[tuple[Stream, str]]:
        """Return the runs that are kept, from the beginning of a line on if anything is missing before it."""
        if self._size > self._limit:
            self._drop(self._size - self._limit)
        if self._dropped and self._runs:
            self._drop(self._runs[0][1].find("\n") + 1)
        self._drop_lines(sum(text.count("\n") for _, text in self._runs) - self._line_limit)
        return list(self._runs)

    def lines(self, count: int) -> str:
        """Return the last few lines, both streams together."""
        return "\n".join("".join(text for _, text in self._runs)[-200 * count :].splitlines()[-count:])

    def _drop_lines(self, count: int) -> None:
        while count > 0:
            text = self._runs[0][1]
            here = min(count, text.count("\n"))
            self._drop(after_line(text, here) if here == count else len(text))
            count -= here

    def _drop(self, count: int) -> None:
        stream, text = self._runs.popleft()
        dropped = text[:count]
        if count < len(text):
            self._runs.appendleft((stream, text[count:]))
        self._size -= len(dropped)
        self._dropped += len(dropped)
        self._dropped_lines += dropped.count("\n")


def after_line(text: str, count: int) -> int:
    """Where the line after the first `count` lines begins."""
    position = 0
    for _ in range(count):
        position = text.index("\n", position) + 1
    return position


def _cost(text: str) -> int:
    """Return the bytes of a message: JSON spells control characters with six of them."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _in_bytes(characters: int) -> str:
    if characters < 1_000_000:
        return f"{characters / 1e3:.1f} KB"
    return f"{characters / 1e6:.1f} MB"
