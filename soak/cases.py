"""Runs numbered cases, each with its own random generator, until a limit."""

from __future__ import annotations

import asyncio
import io
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .findings import Found, say

if TYPE_CHECKING:
    from .findings import Kind, Report

_LAST_WORDS_S = 15.0
_TOLD_EVERY_S = 20.0
_FAR = 100_000


def chance(seed: int, instrument: str, case: int) -> random.Random:
    """The random generator of one case, independent of other cases."""
    return random.Random(f"{seed}:{instrument}:{case}")


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of a run: a number of cases, a time, or a single case; the first one that is reached ends it."""

    count: int | None = None
    seconds: float | None = None
    only: int | None = None
    first: int = 0

    def split(self, share: float) -> tuple[Limit, Limit]:
        """Split it into the first `share` and the rest, whose case numbers are high."""
        if self.only is not None:
            none = replace(self, only=None, count=0)
            return (self, none) if self.only < _FAR else (none, self)
        count = None if self.count is None else round(self.count * share)
        seconds = None if self.seconds is None else self.seconds * share
        rest = replace(
            self,
            count=None if count is None or self.count is None else self.count - count,
            seconds=None if seconds is None or self.seconds is None else self.seconds - seconds,
            first=_FAR,
        )
        return replace(self, count=count, seconds=seconds), rest

    def numbers(self, clock: Callable[[], float] = time.monotonic) -> Iterator[int]:
        """The numbers of the cases until the limit, generated as time goes on."""
        if self.only is not None:
            yield self.only
            return
        start, number = clock(), 0
        while (self.count is None or number < self.count) and (self.seconds is None or clock() - start < self.seconds):
            yield self.first + number
            number += 1


@dataclass
class Cases:
    """Runs the cases of one instrument in parallel, and reports failures as findings."""

    instrument: str
    report: Report
    patience: float
    """Seconds after which a case counts as hanging."""
    done: int = 0
    _told: float = field(default_factory=time.monotonic)

    async def run(self, numbers: Iterator[int], workers: int, case: Callable[[int], Awaitable[None]]) -> None:
        """Run `case(number)` for every number."""

        async def work() -> None:
            for number in numbers:
                await self.one(number, case)
                self.done += 1
                self._tell()

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())

    async def one(self, number: int, case: Callable[[int], Awaitable[None]]) -> None:
        """Run one case; an exception is a finding, and so is a case that does not end."""
        task = asyncio.ensure_future(case(number))
        try:
            await asyncio.wait({task}, timeout=self.patience)
            if not task.done():
                where = stack(task)
                task.cancel()
                await asyncio.wait({task}, timeout=_LAST_WORDS_S)
                text = f"not done after {self.patience:.0f} s, waiting in\n{where}"
                self.report.found(self.instrument, "hangs", text, number)
        finally:
            task.cancel()
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            for kind, text in described(error):
                self.report.found(self.instrument, kind, text, number)

    def _tell(self) -> None:
        if time.monotonic() - self._told > _TOLD_EVERY_S:
            self._told = time.monotonic()
            say(f"{self.instrument}: {self.done} done, {len(self.report.findings)} found")


def described(error: BaseException) -> Iterator[tuple[Kind, str]]:
    """The findings of an exception, which may be a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from described(one)
    elif isinstance(error, Found):
        yield error.kind, str(error)
    else:
        yield "other", "".join(traceback.format_exception(error)[-12:])


def stack(task: asyncio.Future[None]) -> str:
    """The stack of a waiting task, outermost coroutine first."""
    lines = io.StringIO()
    waiting = task.get_coro() if isinstance(task, asyncio.Task) else None
    while waiting is not None and (frame := getattr(waiting, "cr_frame", getattr(waiting, "ag_frame", None))):
        lines.write(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}\n")
        waiting = getattr(waiting, "cr_await", getattr(waiting, "ag_await", None))
    return f"{lines.getvalue()}{waiting or ''}"
