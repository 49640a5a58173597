"""The only place where a magic, which is a plain function, enters an event loop.

One loop serves a kernel for its whole life, so that the SDK's connections stay open from cell to cell:

- in a kernel, the loop that runs the cells; `Pump` runs it while the cell's magic waits;
- in terminal IPython, the loop that IPython keeps for cells with `await`, which stands still between cells;
- where the running loop cannot be run from inside one of its callbacks (uvloop), a loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import UsageError
from .deadlock import main_waits_for_this_thread
from .pump import Pump, can_pump, forget

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

# Seconds that a clean-up has left once a second Stop has cancelled it: enough to close a connection.
_LAST_GRACE = 0.1

# Seconds that a thread waits for a loop that does not run: the cell that should run it probably waits for the thread.
_START_TIMEOUT = 30.0

_POLL_INTERVAL = 0.1  # seconds between checks whether a loop in another thread has begun

_background: set[asyncio.Task[object]] = set()
_started: set[concurrent.futures.Future[Any]] = set()


def run(coro: Coroutine[object, None, T]) -> T:
    """Run a coroutine to its end on the notebook's loop and return its result.

    The first Stop (SIGINT) cancels it, waits for its clean-up and raises KeyboardInterrupt; the second abandons the
    clean-up and raises at once. A call from another thread than the loop's waits until the loop has run it.
    """
    running = _running_loop()
    loop = _notebook_loop(running)
    call = _Run(coro, loop)
    if loop is running:  # called by one of its callbacks, the cell: asyncio would refuse to run it again
        return call.drive(Pump(loop, call.stop).run_until_complete)
    if loop.is_running() or not _in_main_thread():
        return call.run_in_other_thread()
    return call.drive(loop.run_until_complete)


def background(coro: Coroutine[object, None, T]) -> asyncio.Task[T]:
    """Start a coroutine on the notebook's loop that outlives the cell. If it fails, that cell shows the error.

    At the prompt of terminal IPython it goes on as well: IPython's asyncio integration is switched on for it.
    """
    running = _running_loop()
    loop = _notebook_loop(running)
    if _in_main_thread():
        _run_at_the_prompt()
    if loop is not running and (loop.is_running() or not _in_main_thread()):
        return run(_create_task_there(coro))  # tasks may be created only in the loop's own thread
    return _create_task(loop, coro)


def start(
    coro: Coroutine[object, None, T], on_failure: Callable[[Exception], object]
) -> concurrent.futures.Future[T | None]:
    """Submit a coroutine to the notebook's loop, from any thread, and return at once: for callbacks of widgets.

    An exception goes to `on_failure`, on that loop. Coroutines begin in the order in which they were submitted, and
    cancelling the future cancels its coroutine. While the interpreter ends, and finalizers close widgets, there is no
    loop any more: the future is returned cancelled.
    """
    if sys.is_finalizing():
        coro.close()
        return _cancelled()
    loop = _notebook_loop(_running_loop())
    if not loop.is_running() and _in_main_thread():
        _run_at_the_prompt()
    future = asyncio.run_coroutine_threadsafe(_reporting(coro, on_failure), loop)
    _started.add(future)  # the loop itself holds tasks weakly
    future.add_done_callback(_started.discard)
    return future


def _cancelled() -> concurrent.futures.Future[T | None]:
    future: concurrent.futures.Future[T | None] = concurrent.futures.Future()
    future.cancel()
    return future


async def _reporting(coro: Coroutine[object, None, T], on_failure: Callable[[Exception], object]) -> T | None:
    try:
        return await coro
    except Exception as error:  # noqa: BLE001 - the caller has gone on, so `on_failure` gets it
        on_failure(error)
        return None


class _Run(Generic[T]):
    """One coroutine while it runs, and the Stops that reach it."""

    def __init__(self, coro: Coroutine[object, None, T], loop: asyncio.AbstractEventLoop) -> None:
        self._coro = coro
        self._loop = loop
        self._ended: asyncio.Future[None] = loop.create_future()
        self._task: asyncio.Task[T] | None = None
        self._stops = 0

    def drive(self, run_until: Callable[[asyncio.Future[None]], object]) -> T:
        """Start the coroutine and run its loop in this thread until it has ended."""
        with _handling_sigint(self.stop):
            self._start()
            try:
                run_until(self._ended)
            except BaseException:  # the third Stop, or an error of the loop itself
                self._abandon()
                raise
        return self._outcome()

    def run_in_other_thread(self) -> T:
        """Start the coroutine on its loop, which another thread runs, and wait here until it has ended."""
        started, ended = threading.Event(), threading.Event()

        def start() -> None:
            self._ended.add_done_callback(lambda _: ended.set())
            self._start()
            started.set()

        with _handling_sigint(self.stop):
            begin = self._loop.call_soon_threadsafe(start)
            problem = _wait_for_start(started)
            if problem:
                begin.cancel()
                self._coro.close()
                raise UsageError(problem)
            ended.wait()
        return self._outcome()

    def _start(self) -> None:
        # The loop runs until `_ended`, not until the task is done: a task that ignores its cancellation never is.
        self._task = self._loop.create_task(self._coro)
        self._task.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def stop(self) -> None:
        """Count a SIGINT, which comes between any two instructions of the main thread, or a stop of the loop.

        The rest is left to the loop: a signal handler may interrupt the very code that changes the task.
        """
        self._stops += 1
        if self._stops == 1:
            self._loop.call_soon_threadsafe(self._cancel)
        elif self._stops == 2:
            self._loop.call_soon_threadsafe(self._give_up)
        else:  # some callback blocks the loop, so that it ran neither of the two
            raise KeyboardInterrupt

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()

    def _give_up(self) -> None:
        self._cancel()
        self._loop.call_later(_LAST_GRACE, self._abandon)

    def _abandon(self) -> None:
        """Give the task up as it is: it does not go on, and asyncio does not report it."""
        if self._task and not self._task.done():
            forget(self._task)
            _close(self._coro)
            self._task.cancel()
        self._end()

    def _outcome(self) -> T:
        task = self._task
        assert task is not None
        if self._stops:
            raise KeyboardInterrupt from (_failure(task) if task.done() else None)
        return task.result()


def _wait_for_start(started: threading.Event) -> str:
    """Wait until another thread's loop has started a coroutine; returns the problem if it never will."""
    advice = "let the cell wait for its threads with `await asyncio.to_thread(thread.join)`."
    deadline = time.monotonic() + _START_TIMEOUT
    while not started.wait(_POLL_INTERVAL):
        if main_waits_for_this_thread():
            return (
                f"The cell waits for this thread, and this thread for the event loop that the cell holds up: {advice}"
            )
        if time.monotonic() > deadline:
            return f"The running cell has held up the notebook's event loop for {_START_TIMEOUT:.0f} s: {advice}"
    return ""


def _failure(task: asyncio.Task[object]) -> BaseException | None:
    """The exception that a clean-up raised, which the user who pressed Stop should still see."""
    return None if task.cancelled() else task.exception()


def _close(coro: Coroutine[object, None, object]) -> None:
    """Close a suspended coroutine without awaiting anything more, even if its clean-up would."""
    for _ in range(100):  # each round ends one await; a coroutine that catches everything for ever is left alone
        try:
            coro.close()
        except BaseException:  # noqa: BLE001 - nobody waits for what an abandoned clean-up raises
            if inspect.getcoroutinestate(coro) != inspect.CORO_SUSPENDED:
                return
        else:
            return


@contextlib.contextmanager
def _handling_sigint(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` for each SIGINT during the body."""
    if not _in_main_thread():  # Python handles signals only there
        yield
        return
    previous = signal.signal(signal.SIGINT, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _notebook_loop(running: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """The loop that serves this process; `running` is the one that runs in the calling thread."""
    loop = running if running and _in_main_thread() else _kernel_loop() or _terminal_loop()
    return loop if can_pump(loop) else _thread_loop()


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    loop: asyncio.AbstractEventLoop | None = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    return loop


def _terminal_loop() -> asyncio.AbstractEventLoop:
    from IPython.core import async_helpers

    if _in_main_thread():
        async_helpers.get_asyncio_loop()  # creates it at first use
    loop: asyncio.AbstractEventLoop | None = async_helpers._asyncio_event_loop
    return loop or _thread_loop()


@functools.cache
def _thread_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    threading.Thread(target=loop.run_forever, name="runloop_jupyter", daemon=True).start()
    return loop


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


async def _create_task_there(coro: Coroutine[object, None, T]) -> asyncio.Task[T]:
    return _create_task(asyncio.get_running_loop(), coro)


def _create_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[object, None, T]) -> asyncio.Task[T]:
    task = loop.create_task(coro)
    _background.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_report_failure)
    return task


def _report_failure(task: asyncio.Task[object]) -> None:
    _background.discard(task)
    failure = _failure(task)
    if failure is not None:
        # This callback runs in the context of the cell that started the task, and stderr writes to that cell.
        sys.stderr.write(f"In the background: {type(failure).__name__}: {failure}\n")


def _run_at_the_prompt() -> None:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    has_prompt = not getattr(shell, "simple_prompt", True)  # only a terminal's shell has this attribute
    if has_prompt and shell.active_eventloop is None:
        shell.enable_gui("asyncio")
