"""What is going on while something takes its time: one line in the cell, with a bar where the end is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from ..text.durations import spell_duration
from ..text.sizes import spell_size

_SOON = 0.4  # seconds until a bar is shown, and between two looks of it
_LOOK = 1.0  # seconds between two questions about how far the other side is
_WIDTH = 24  # characters
_PARTS = " ▏▎▍▌▋▊▉█"
_waits: ContextVar[list[str] | None] = ContextVar("waits", default=None)


def elapsed_status(text: str) -> Callable[[], str]:
    """A status line from now on: `text` with {} for the time that has passed."""
    started = time.monotonic()
    return lambda: text.replace("{}", spell_duration(time.monotonic() - started))


@asynccontextmanager
async def waiting(text: str) -> AsyncIterator[None]:
    """Show "`text` … 4 s" in the cell while the body takes longer than two seconds; inside of a wait, on its line."""
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
        with _line_about(text) as waits:
            passed = elapsed_status("{}")
            output.status(lambda: f"{_joined(waits)} … {passed()}")
            yield


@contextmanager
def without_status() -> Iterator[None]:
    """Show no line for what is waited for in the body: it belongs to no cell."""
    with _line_about(""):
        yield


@contextmanager
def _line_about(text: str) -> Iterator[list[str]]:
    """All that is waited for, outermost first, for one line in the cell; empty once the body has ended."""
    waits, before = [text], _waits.get()
    _waits.set(waits)
    try:
        yield waits
    finally:
        _waits.set(before)
        waits.clear()  # what goes on in the background has no line any more


def _joined(waits: list[str]) -> str:
    return " · ".join(dict.fromkeys(waits))


class Progress:
    """How far some work is: set `step`, and `done` of `total` bytes (or `unit`s), as they change."""

    def __init__(self, doing: str, *, unit: str = "") -> None:
        self.doing = doing
        self.step = ""
        self.done = 0
        self.total: int | None = None
        self.waits = [doing]
        """What is waited for at the moment, outermost first."""
        self._unit = unit
        self._started = time.monotonic()

    def line(self) -> str:
        """All of it as one line; ``done`` and ``total`` as a bar."""
        passed = time.monotonic() - self._started
        parts = [self.step, *self.waits[1:], self._amount(), self._rest(passed), spell_duration(passed)]
        return " · ".join(filter(None, [f"{self.doing} {self._bar()}".rstrip(), *parts]))

    def _bar(self) -> str:
        return "" if not self.total else f"▕{bar(self.done / self.total)}▏ {min(self.done / self.total, 1):.0%}"

    def _amount(self) -> str:
        if not self.done and not self.total:
            return ""
        if self._unit:
            return f"{self.done:,}{f' of {self.total:,}' if self.total else ''} {self._unit}"
        return f"{spell_size(self.done)}{f' of {spell_size(self.total)}' if self.total else ''}"

    def _rest(self, passed: float) -> str:
        if not self.total or passed < 1 or not 0 < self.done < self.total:
            return ""
        return f"{spell_duration(passed * (self.total - self.done) / self.done)} left"


def bar(share: float, width: int = _WIDTH) -> str:
    """A bar of `width` characters, filled to an eighth of one."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    full, part = divmod(eighths, 8)
    return f"{'█' * full}{_PARTS[part] if full < width else ''}".ljust(width)


@asynccontextmanager
async def progress(doing: str, *, unit: str = "") -> AsyncIterator[Progress]:
    """Show in the cell how far the body is, from half a second on."""
    from .cell_output import CellOutput, DisplayLimits

    made = Progress(doing, unit=unit)
    async with CellOutput(limits=DisplayLimits(silence=_SOON)) as output:
        with _line_about(doing) as made.waits:
            output.status(lambda: made.line() + " — Stop ends it")
            yield made


@asynccontextmanager
async def polling(made: Progress, look: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
    """While the body waits, `look` says every second what the other side is doing."""
    asking = asyncio.create_task(_ask(made, look))
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _ask(made: Progress, look: Callable[[], Awaitable[str]]) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        made.step = await look()  # where this fails, the work that is waited for fails as well, and tells
