"""Turns a running event loop from inside one of its own callbacks, without patching asyncio.

Every private name of asyncio that the package touches is in this file; `can_pump` says whether they are all there.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# How long one select may last at most, in seconds; asyncio itself has such a limit against clock overflow.
_LONGEST_WAIT = 3600.0

_LOOP_NAMES = (
    "_ready",
    "_scheduled",
    "_selector",
    "_process_events",
    "_clock_resolution",
    "_timer_cancelled_count",
    "_stopping",
)


def can_pump(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `pump` knows this kind of loop: asyncio's own selector loop, not uvloop."""
    return isinstance(loop, asyncio.SelectorEventLoop) and all(hasattr(loop, name) for name in _LOOP_NAMES)


class Pump:
    """Runs a loop's callbacks as the loop itself would, inside one of these callbacks, which is thereby held up.

    When somebody stops the loop, `on_stopping` is called and should see to it that the run ends soon.
    """

    def __init__(self, loop: Any, on_stopping: Callable[[], None]) -> None:
        self._loop = loop
        self._on_stopping = on_stopping
        # The loop further up the stack has counted its ready callbacks and will pop that many: it must find them.
        self._promised = len(loop._ready)

    def run_until_complete(self, over: asyncio.Future[Any]) -> None:
        """Run callbacks until the future is done."""
        loop = self._loop
        outer_task = _swap_current_task(loop, None)
        try:
            self._turn_until(over)
        finally:
            for _ in range(self._promised - len(loop._ready)):
                loop.call_soon(_nothing)
            _swap_current_task(loop, outer_task)

    def _turn_until(self, over: asyncio.Future[Any]) -> None:
        is_told = False
        while not over.done():
            _turn(self._loop)
            if self._loop._stopping and not is_told:
                is_told = True
                self._on_stopping()


def forget(task: asyncio.Task[Any]) -> None:
    """Let a task be dropped unfinished: asyncio neither says so nor reports its exception."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.add_done_callback(_retrieve)


def _turn(loop: Any) -> None:
    """One turn of the loop: wait for I/O or the next timer, then run what was ready at that moment."""
    _drop_cancelled_timers(loop)
    loop._process_events(loop._selector.select(_wait(loop)))
    _ripen_timers(loop)
    for _ in range(len(loop._ready)):
        if not loop._ready:  # a pump inside one of these callbacks ran them
            break
        handle = loop._ready.popleft()
        if not handle._cancelled:
            _run(handle)


def _drop_cancelled_timers(loop: Any) -> None:
    while loop._scheduled and loop._scheduled[0]._cancelled:
        loop._timer_cancelled_count -= 1
        heapq.heappop(loop._scheduled)._scheduled = False


def _wait(loop: Any) -> float | None:
    if loop._ready:
        return 0
    if not loop._scheduled:
        return None
    return float(min(max(0, loop._scheduled[0]._when - loop.time()), _LONGEST_WAIT))


def _ripen_timers(loop: Any) -> None:
    end = loop.time() + loop._clock_resolution
    while loop._scheduled and loop._scheduled[0]._when < end:
        handle = heapq.heappop(loop._scheduled)
        handle._scheduled = False
        loop._ready.append(handle)


def _run(handle: Any) -> None:
    # ipykernel >= 7 runs all cells in one context. It is entered already, further up the stack, and cannot be
    # entered twice: what else is to run in it runs in a copy, with the same values.
    if _is_entered(handle._context):
        handle._context = handle._context.copy()
    handle._run()


def _is_entered(context: Any) -> bool:
    try:
        context.run(_nothing)
    except RuntimeError:
        return True
    return False


def _swap_current_task(loop: Any, task: asyncio.Task[Any] | None) -> asyncio.Task[Any] | None:
    tasks: Any = asyncio.tasks
    if hasattr(tasks, "_swap_current_task"):  # Python >= 3.12
        previous: asyncio.Task[Any] | None = tasks._swap_current_task(loop, task)
    else:
        previous = tasks._current_tasks.pop(loop, None)
        if task is not None:
            tasks._current_tasks[loop] = task
    return previous


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _nothing() -> None:
    pass
