"""The only crossing from a magic, which is a plain function, to an event loop.

One loop serves a kernel for its whole life, so that the connections of the SDK live from cell to cell:

- in a kernel the loop that runs the cells, turned by `Pump` while the cell's magic waits;
- in terminal IPython the loop that IPython keeps for `await` cells, which rests between cells;
- where the running loop is of a kind that cannot be turned from inside (uvloop), a loop in a thread of its own.
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
from .joined import main_waits_for_this_thread
from .pump import Pump, can_pump, forget

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

# What a second Stop leaves to the clean-up that it cancels, in seconds: enough to close a connection.
_LAST_GRACE = 0.1

# When a thread waits for a loop that does not turn, the cell that should turn it probably waits for the thread.
_START_PATIENCE = 30.0

_LOOK = 0.1  # seconds between looks at whether a loop in another thread has begun

_background: set[asyncio.Task[Any]] = set()
_started: set[concurrent.futures.Future[Any]] = set()


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the notebook's loop and return its result.

    The first Stop (SIGINT) cancels it, waits for its clean-up and raises KeyboardInterrupt; the second gives the
    clean-up up and raises at once. From another thread than the loop's own, the call waits for the loop.
    """
    running = _running_loop()
    home = _home(running)
    one = _Run(coro, home)
    if home is running:
        return one.drive(Pump(home, one.stop).run_until_complete)
    if home.is_running() or not _in_main_thread():
        return one.hand_over()
    return one.drive(home.run_until_complete)


def background(coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a coroutine on the notebook's loop and let it outlive the cell; its failure is shown in that cell.

    At the prompt of terminal IPython it goes on as well: IPython's asyncio integration is switched on for it.
    """
    running = _running_loop()
    home = _home(running)
    if _in_main_thread():
        _turn_at_the_prompt()
    if home is running:
        return _keep(home, coro)
    if home.is_running() or not _in_main_thread():
        return run(_keep_there(coro))
    return _keep(home, coro)


def start(
    coro: Coroutine[Any, Any, T], on_failure: Callable[[Exception], object]
) -> concurrent.futures.Future[T | None]:
    """Hand a coroutine over to the notebook's loop, from any thread, and return at once: for callbacks of widgets.

    What it raises goes to `on_failure`, on that loop. Coroutines begin in the order in which they were handed over;
    cancelling the result cancels its coroutine. While the interpreter ends, when widgets are closed by their
    finalizers, there is no loop any more: the result is cancelled.
    """
    if sys.is_finalizing():
        coro.close()
        return _cancelled()
    home = _home(_running_loop())
    if not home.is_running() and _in_main_thread():
        _turn_at_the_prompt()
    future = asyncio.run_coroutine_threadsafe(_reporting(coro, on_failure), home)
    _started.add(future)  # the loop itself holds tasks weakly
    future.add_done_callback(_started.discard)
    return future


def _cancelled() -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.cancel()
    return future


async def _reporting(coro: Coroutine[Any, Any, T], on_failure: Callable[[Exception], object]) -> T | None:
    try:
        return await coro
    except Exception as error:  # noqa: BLE001 - the caller has gone on; who hears of it is `on_failure`
        on_failure(error)
        return None


class _Run(Generic[T]):
    """One coroutine on its way to its end, and the Stops that reach it."""

    def __init__(self, coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self._coro = coro
        self._loop = loop
        self._over: asyncio.Future[None] = loop.create_future()
        self._task: asyncio.Task[T] | None = None
        self._stops = 0

    def drive(self, turn_until: Callable[[asyncio.Future[None]], Any]) -> T:
        """Start it and turn its loop in this thread until it is over."""
        with _stops_go_to(self.stop):
            self._start()
            try:
                turn_until(self._over)
            except BaseException:
                self._abandon()
                raise
        return self._outcome()

    def hand_over(self) -> T:
        """Start it on its loop, which turns in another thread, and wait here until it is over."""
        started, ended = threading.Event(), threading.Event()

        def start() -> None:
            self._over.add_done_callback(lambda _: ended.set())
            self._start()
            started.set()

        with _stops_go_to(self.stop):
            begin = self._loop.call_soon_threadsafe(start)
            problem = _never_begins(started)
            if problem:
                begin.cancel()
                self._coro.close()
                raise UsageError(problem)
            ended.wait()
        return self._outcome()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coro)
        self._task.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def stop(self) -> None:
        """Take a SIGINT, in the main thread between any two instructions, or the end of the loop."""
        self._stops += 1
        if self._stops == 1:
            self._loop.call_soon_threadsafe(self._cancel)
        elif self._stops == 2:
            self._loop.call_soon_threadsafe(self._give_up)
        else:  # some callback blocks the loop
            raise KeyboardInterrupt

    def _cancel(self) -> None:
        if self._task:
            self._task.cancel()

    def _give_up(self) -> None:
        self._cancel()
        self._loop.call_later(_LAST_GRACE, self._abandon)

    def _abandon(self) -> None:
        """Leave the task as it is, so that it neither goes on nor complains."""
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


def _never_begins(started: threading.Event) -> str:
    """Wait for the beginning of what another thread's loop is to do; why it does not come, if it does not."""
    advice = "let the cell wait for its threads with `await asyncio.to_thread(thread.join)`."
    deadline = time.monotonic() + _START_PATIENCE
    while not started.wait(_LOOK):
        if main_waits_for_this_thread():
            return (
                f"The cell waits for this thread, and this thread for the event loop that the cell holds up: {advice}"
            )
        if time.monotonic() > deadline:
            return f"The running cell has held up the notebook's event loop for {_START_PATIENCE:.0f} s: {advice}"
    return ""


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    """Return what went wrong in the clean-up, which the user who pressed Stop should still see."""
    return None if task.cancelled() else task.exception()


def _close(coro: Coroutine[Any, Any, Any]) -> None:
    """End a suspended coroutine without awaiting anything more, even where its clean-up would."""
    for _ in range(100):  # each round ends one await; a coroutine that catches everything for ever is left alone
        try:
            coro.close()
        except BaseException:  # noqa: BLE001 - what an abandoned clean-up raises interests nobody any more
            if inspect.getcoroutinestate(coro) != inspect.CORO_SUSPENDED:
                return
        else:
            return


@contextlib.contextmanager
def _stops_go_to(stop: Callable[[], None]) -> Iterator[None]:
    if not _in_main_thread():  # only there does Python take signals
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


def _home(running: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """Return the loop that serves this process, seen from the calling thread."""
    home = running if running and _in_main_thread() else _kernel_loop() or _terminal_loop()
    return home if can_pump(home) else _own_loop()


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    loop: asyncio.AbstractEventLoop | None = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    return loop


def _terminal_loop() -> asyncio.AbstractEventLoop:
    from IPython.core import async_helpers

    if _in_main_thread():
        async_helpers.get_asyncio_loop()  # type: ignore[no-untyped-call] # makes it at first use
    loop: asyncio.AbstractEventLoop | None = async_helpers._asyncio_event_loop
    return loop or _own_loop()


@functools.cache
def _own_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    threading.Thread(target=loop.run_forever, name="runloop_jupyter", daemon=True).start()
    return loop


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


async def _keep_there(coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return _keep(asyncio.get_running_loop(), coro)


def _keep(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = loop.create_task(coro)
    _background.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_let_go)
    return task


def _let_go(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    failure = _failure(task)
    if failure is not None:  # this callback runs in the context of the cell that started the task
        sys.stderr.write(f"In the background: {type(failure).__name__}: {failure}\n")


def _turn_at_the_prompt() -> None:
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    has_prompt = not getattr(shell, "simple_prompt", True)  # which only a terminal's shell knows of
    if has_prompt and shell.active_eventloop is None:
        shell.enable_gui("asyncio")
