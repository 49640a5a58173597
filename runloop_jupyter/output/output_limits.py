"""Limits of the output that a cell shows: the head at once, the tail at the end, and a line about the rest."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .terminal_text import without_colours

if TYPE_CHECKING:
    from .transcript import Stream

# The fewest characters that are worth a message of their own while more of them wait.
_WORTH_A_MESSAGE = 4096
_MAX_BYTES = 6  # of one character in JSON


class DisplayLimits(NamedTuple):
    """The limits of a command's output in a cell, and the times between updates. In characters and seconds."""

    head: int = 400_000
    head_lines: int = 2_000
    tail: int = 100_000
    tail_lines: int = 500
    interval: float = 0.04
    silence: float = 2.0


class RateLimiter:
    """Keeps messages below the limit of the Jupyter server, which drops those beyond 1 MB/s over three seconds.

    A token bucket that counts bytes: it holds `burst` bytes and is filled with `rate` bytes a second.
    """

    def __init__(self, *, rate: float = 800_000, burst: float = 400_000) -> None:
        self._rate = rate
        self._burst = burst
        self._allowance = burst
        self._updated = time.monotonic()

    def split(self, text: str) -> tuple[str, str]:
        """Split off what may be sent now, at the end of a line if possible; it counts as sent."""
        self._fill()
        cost = _cost(text)
        if cost > self._allowance:
            fitting = max(0, int(len(text) * self._allowance / cost))
            # In the middle of a line only if it is long: many tiny messages cost more than a short wait.
            cut = text.rfind("\n", 0, fitting) + 1 or (fitting if fitting >= _WORTH_A_MESSAGE else 0)
            text, rest = text[:cut], text[cut:]
            cost = _cost(text)
        else:
            rest = ""
        self._allowance -= cost
        return text, rest

    def try_send(self, text: str) -> bool:
        """True if all of the text may be sent now; it then counts as sent."""
        self._fill()
        cost = _cost(text)
        if cost > self._allowance:
            return False
        self._allowance -= cost
        return True

    def fit(self, text: str) -> str:
        """The text in a length that one message may have: if it is too long, without colours, then only its end."""
        if _cost(text) > self._burst:
            text = without_colours(text)
            text = text[-int(self._burst) // _MAX_BYTES :] if _cost(text) > self._burst else text
        return text

    def _fill(self) -> None:
        now = time.monotonic()
        # By the clock that never goes back: after a computer's sleep it is full, not negative.
        self._allowance = min(self._burst, self._allowance + (now - self._updated) * self._rate)
        self._updated = now


class Tail:
    """Keeps the end of the output, and counts what it drops before that."""

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
        while self._size - len(self._runs[0][1]) >= self._limit:  # whole runs only, which is cheap for any size
            self._drop(len(self._runs[0][1]))

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def size_in_words(self) -> str:
        """The size of all text that was appended, in words."""
        return _in_bytes(self._dropped + self._size)

    @property
    def hidden(self) -> str:
        """The amount of dropped text, in words; empty if nothing was dropped."""
        if not self._dropped:
            return ""
        return f"{_in_bytes(self._dropped)} in {self._dropped_lines:,} lines"

    def end(self) -> list[tuple[Stream, str]]:
        """Return the kept runs. If text before them was dropped, they begin at the start of a line."""
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
            lines = min(count, text.count("\n"))
            self._drop(after_line(text, lines) if lines == count else len(text))
            count -= lines

    def _drop(self, count: int) -> None:
        stream, text = self._runs.popleft()
        dropped = text[:count]
        if count < len(text):
            self._runs.appendleft((stream, text[count:]))
        self._size -= len(dropped)
        self._dropped += len(dropped)
        self._dropped_lines += dropped.count("\n")


def after_line(text: str, count: int) -> int:
    """The index at which the line after the first `count` lines begins."""
    position = 0
    for _ in range(count):
        position = text.index("\n", position) + 1
    return position


def _cost(text: str) -> int:
    """The number of bytes of the text in a message: JSON takes six bytes for a control character."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _in_bytes(characters: int) -> str:
    if characters < 1_000_000:
        return f"{characters / 1e3:.1f} KB"
    return f"{characters / 1e6:.1f} MB"
