"""The progress of an operation, and how it reads on one line."""

from __future__ import annotations

import time

from .durations import spell_duration
from .sizes import spell_size

_WIDTH = 24  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Progress:
    """The progress of an operation: set `step`, and `done` of `total` bytes (or `unit`s), as they change."""

    def __init__(self, doing: str, *, unit: str = "") -> None:
        self.doing = doing
        self.step = ""
        self.done = 0
        self.total: int | None = None
        self.waits = [doing]
        """The current waits, outermost first."""
        self._unit = unit
        self._started = time.monotonic()

    def line(self) -> str:
        """The status line, with `done` and `total` as a bar."""
        elapsed = time.monotonic() - self._started
        parts = [self.step, *self.waits[1:], self._amount(), self._time_left(elapsed), spell_duration(elapsed)]
        return " · ".join(filter(None, [f"{self.doing} {self._bar()}".rstrip(), *parts]))

    def _bar(self) -> str:
        return "" if not self.total else f"▕{bar(self.done / self.total)}▏ {min(self.done / self.total, 1):.0%}"

    def _amount(self) -> str:
        if not self.done and not self.total:
            return ""
        if self._unit:
            return f"{self.done:,}{f' of {self.total:,}' if self.total else ''} {self._unit}"
        return f"{spell_size(self.done)}{f' of {spell_size(self.total)}' if self.total else ''}"

    def _time_left(self, elapsed: float) -> str:
        if not self.total or elapsed < 1 or not 0 < self.done < self.total:
            return ""
        return f"{spell_duration(elapsed * (self.total - self.done) / self.done)} left"


def bar(share: float, width: int = _WIDTH) -> str:
    """A bar of `width` characters, drawn in eighths of a character."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    full, rest = divmod(eighths, 8)
    return f"{'█' * full}{_EIGHTHS[rest] if full < width else ''}".ljust(width)
