"""Runs an event loop from inside one of its own callbacks, without patching asyncio.

A cell is a callback of the kernel's loop, and its magic has to wait for I/O there. `run_until_complete` refuses to run
a loop that runs already, so `Pump` does what `BaseEventLoop._run_once` does, on the same queues and selector.

Every private name of asyncio that the package uses is in this file; `can_pump` checks that they all exist.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# The longest time of one select, in seconds. asyncio has such a limit too: some systems reject very long timeouts, and
# on Windows neither Ctrl+C nor a kernel's Stop ends one.
_LONGEST_WAIT = 0.1 if sys.platform == "win32" else 3600.0

Internals = Any
"""A loop, or a part of one, whose private names are used: asyncio has no types for them."""

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
    """True if `Pump` can run this loop: one of asyncio's own, not uvloop."""
    # The one for Windows calls its proactor `_selector`, too, which has a `select` for this purpose.
    return isinstance(loop, asyncio.BaseEventLoop) and all(hasattr(loop, name) for name in _LOOP_NAMES)


class Pump:
    """Runs a loop's callbacks as the loop itself would, inside one of them, which waits meanwhile.

    When the loop is asked to stop, `on_stopping` is called, which should make the run end soon.
    """

    def __init__(self, loop: Internals, on_stopping: Callable[[], None]) -> None:
        self._loop = loop
        self._on_stopping = on_stopping
        # The loop's own `_run_once`, further up the stack, counted the ready callbacks before it called this one, and
        # will pop as many from the queue. The pump takes them first, so it has to leave others in their place.
        self._expected = len(loop._ready)

    def run_until_complete(self, over: asyncio.Future[None]) -> None:
        """Run callbacks until the future is done."""
        loop = self._loop
        # The cell's own task is suspended: asyncio raises if another task starts while it counts as the current one.
        outer_task = _swap_current_task(loop, None)
        try:
            self._run_until(over)
        finally:
            for _ in range(self._expected - len(loop._ready)):
                loop.call_soon(_nothing)
            _swap_current_task(loop, outer_task)

    def _run_until(self, over: asyncio.Future[None]) -> None:
        has_told = False
        while not over.done():
            _run_once(self._loop)
            if self._loop._stopping and not has_told:
                has_told = True
                self._on_stopping()


def forget(task: asyncio.Task[object]) -> None:
    """Keep asyncio from reporting a task that is dropped unfinished, or its exception."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.add_done_callback(_retrieve)


def _run_once(loop: Internals) -> None:
    """Run one iteration: wait for I/O or the next timer, then run the callbacks that were ready at that moment."""
    _drop_cancelled_timers(loop)
    loop._process_events(loop._selector.select(_timeout(loop)))
    _move_due_timers(loop)
    # Those only, as in asyncio: callbacks that schedule one another without end must not keep I/O from being handled.
    for _ in range(len(loop._ready)):
        if not loop._ready:  # another pump, inside one of these callbacks, ran the rest
            break
        handle = loop._ready.popleft()
        if not handle._cancelled:
            _run(handle)


def _drop_cancelled_timers(loop: Internals) -> None:
    while loop._scheduled and loop._scheduled[0]._cancelled:
        loop._timer_cancelled_count -= 1
        heapq.heappop(loop._scheduled)._scheduled = False


def _timeout(loop: Internals) -> float | None:
    if loop._ready:
        return 0
    if not loop._scheduled:
        return None
    return float(min(max(0, loop._scheduled[0]._when - loop.time()), _LONGEST_WAIT))


def _move_due_timers(loop: Internals) -> None:
    end = loop.time() + loop._clock_resolution
    while loop._scheduled and loop._scheduled[0]._when < end:
        handle = heapq.heappop(loop._scheduled)
        handle._scheduled = False
        loop._ready.append(handle)


def _run(handle: Internals) -> None:
    # ipykernel >= 7 runs all cells in one context. It is entered already, further up the stack, and a context cannot be
    # entered twice: other callbacks of that context run in a copy of it, with the same values.
    if _is_entered(handle._context):
        handle._context = handle._context.copy()
    handle._run()


def _is_entered(context: contextvars.Context) -> bool:
    try:
        context.run(_nothing)
    except RuntimeError:
        return True
    return False


def _swap_current_task(loop: Internals, task: asyncio.Task[object] | None) -> asyncio.Task[object] | None:
    tasks: Internals = asyncio.tasks
    if hasattr(tasks, "_swap_current_task"):  # Python >= 3.12
        previous: asyncio.Task[object] | None = tasks._swap_current_task(loop, task)
    else:
        previous = tasks._current_tasks.pop(loop, None)
        if task is not None:
            tasks._current_tasks[loop] = task
    return previous


def _retrieve(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()


def _nothing() -> None:
    pass
