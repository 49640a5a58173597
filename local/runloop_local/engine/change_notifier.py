"""Wakes tasks that wait for the next change, without polling."""

from __future__ import annotations

import asyncio


class ChangeNotifier:
    """Wakes all tasks that are waiting. Costs nothing while none is."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[bool]] = []

    def notify(self) -> None:
        """Wake all waiting tasks."""
        # Taken out first: a woken task may wait again at once, for the next change.
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            _settle(waiter, notified=True)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next change; False if `timeout` seconds pass first."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiters.append(waiter)
        timer = None if timeout is None else loop.call_later(timeout, self._give_up, waiter)
        try:
            return await waiter
        finally:
            if timer is not None:
                timer.cancel()
            if waiter.cancelled():
                self._forget(waiter)

    def _give_up(self, waiter: asyncio.Future[bool]) -> None:
        self._forget(waiter)
        _settle(waiter, notified=False)

    def _forget(self, waiter: asyncio.Future[bool]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


def _settle(waiter: asyncio.Future[bool], *, notified: bool) -> None:
    if not waiter.done():
        waiter.set_result(notified)
