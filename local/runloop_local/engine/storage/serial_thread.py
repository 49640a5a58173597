"""A thread that does work for an event loop, one piece after the other.

An executor of one thread would do the same, and make a lock, a condition and a second future for each piece: with
those, a small change of the database takes half as much processor time again.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SerialThread:
    """Does work in the order it comes, until `close`."""

    def __init__(self, name: str) -> None:
        """Start the thread; raises `RuntimeError` if the machine has none left."""
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raises. It is left out if the caller is cancelled before it begins."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Task(work, result, loop))
        return await result

    def close(self) -> None:
        """End the thread once all work is done."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            task.do()


class _Task:
    """One piece of work, and the future of its result."""

    def __init__(self, work: Callable[[], Any], result: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._result = result
        self._loop = loop

    def do(self) -> None:
        """Do it, and tell the loop."""
        if self._result.cancelled():
            return
        try:
            value, error = self._work(), None
        except BaseException as raised:  # noqa: BLE001 -- for whoever waits for the result
            value, error = None, raised
        with suppress(RuntimeError):  # the loop was closed meanwhile, and nobody waits
            self._loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self._result.done():
            return
        if error is None:
            self._result.set_result(value)
        else:
            self._result.set_exception(error)
