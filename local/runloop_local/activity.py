"""Stops the service when it has not been used for a while."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .engine.idle_timer import IdleTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Activity:
    """Calls `stop` after `seconds` with no request and nothing running."""

    def __init__(self, seconds: float, stop: Callable[[], None], running: Callable[[], bool]) -> None:
        self._requests = 0
        self._running = running
        self._idle_timer = IdleTimer(seconds, stop, self._busy)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as activity while it lasts."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            self._idle_timer.touch()

    def _busy(self) -> bool:
        return self._requests > 0 or self._running()
