"""An idle timeout that needs a single timer, however often it is reset."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class IdleTimer:
    """Calls `act` once `seconds` have passed since the last `touch` without `busy()` being true."""

    def __init__(self, seconds: float, act: Callable[[], None], busy: Callable[[], bool] = lambda: False) -> None:
        self._seconds = seconds
        self._act = act
        self._busy = busy
        self._loop = asyncio.get_running_loop()
        self._touched = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._check)

    def touch(self) -> None:
        """Reset the timeout."""
        self._touched = self._loop.time()

    def cancel(self) -> None:
        """Cancel the timer."""
        self._timer.cancel()

    def _check(self) -> None:
        # Looked at only when the time seems over: to note each beginning and end of what is busy would cost far more.
        if self._busy():
            self.touch()
        left = self._touched + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._act()
