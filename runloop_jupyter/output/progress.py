"""Progress of long operations: one line in the cell, with a bar if the total is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from ..text.durations import spell_duration
from ..text.progress import Progress

_BAR_INTERVAL = 0.4  # seconds until a bar is shown, and between two updates of it
_POLL_INTERVAL = 1.0  # seconds between two requests for the step that the service is at

# The waits around the running code, outermost first: an inner one joins the outer one's line in the cell.
_waits: ContextVar[list[str] | None] = ContextVar("waits", default=None)


def elapsed_status(text: str) -> Callable[[], str]:
    """A status line that counts from now on: `text`, with the elapsed time in place of {}."""
    started = time.monotonic()
    return lambda: text.replace("{}", spell_duration(time.monotonic() - started))


@asynccontextmanager
async def waiting(text: str) -> AsyncIterator[None]:
    """Show "`text` … 4 s" in the cell if the body takes longer than two seconds; within another wait, on its line."""
    outer = _waits.get()
    if outer:
        outer.append(text)
        try:
            yield
        finally:
            outer.remove(text)
        return
    from .cell_output import CellOutput

    async with CellOutput() as output:
        with _status_line(text) as waits:
            elapsed = elapsed_status("{}")
            output.status(lambda: f"{_joined(waits)} … {elapsed()}")
            yield


@contextmanager
def without_status() -> Iterator[None]:
    """Show no status line for waits in the body, because they belong to no cell."""
    with _status_line(""):
        yield


@contextmanager
def _status_line(text: str) -> Iterator[list[str]]:
    """Begin a status line of its own. Yields the waits that it shows, outermost first."""
    waits, before = [text], _waits.get()
    _waits.set(waits)
    try:
        yield waits
    finally:
        _waits.set(before)
        waits.clear()  # a task that goes on in the background has a copy of the context, but the line is gone


def _joined(waits: list[str]) -> str:
    return " · ".join(dict.fromkeys(waits))


@asynccontextmanager
async def progress(doing: str, *, unit: str = "") -> AsyncIterator[Progress]:
    """Show the progress of the body in the cell, unless it takes less than half a second."""
    from .cell_output import CellOutput, DisplayLimits

    shown = Progress(doing, unit=unit)
    async with CellOutput(limits=DisplayLimits(silence=_BAR_INTERVAL)) as output:
        with _status_line(doing) as shown.waits:
            output.status(lambda: shown.line() + " — Stop ends it")
            yield shown


@asynccontextmanager
async def polling(progress: Progress, get_step: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
    """Set the progress's step to the result of `get_step`, once a second, while the body runs."""
    task = asyncio.create_task(_poll(progress, get_step))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _poll(progress: Progress, get_step: Callable[[], Awaitable[str]]) -> None:
    while True:
        await asyncio.sleep(_POLL_INTERVAL)
        progress.step = await get_step()  # an error ends the polling only: the body fails as well, and reports it
