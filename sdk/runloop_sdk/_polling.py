"""Waiting for a state: deadlines that the caller sets, and none that it did not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from ._errors import ConfigurationError, PollingTimeoutError, RunloopError, WaitTimeoutError

V = TypeVar("V")

_FIRST_PAUSE = 0.02
"""Between the first two looks of a wait without a config; doubled from look to look: what is done soon is seen soon."""
_PEEK_SECONDS = 2.0
_GRACE = 5.0
"""Seconds after the deadline in which the answer to the last look may come."""


@dataclass(frozen=True, slots=True)
class PollingConfig:
    """How long to wait, and how often to look.

    `timeout_seconds`: raise `PollingTimeoutError` after so long; None, the default, waits as long as it takes.
    `interval_seconds`: between two looks, where the API cannot hold the request until the state is there. Without
    any config the first looks come sooner.
    `max_attempts`: raise after so many looks; None for no such limit.
    """

    timeout_seconds: float | None = None
    interval_seconds: float = 1.0
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ConfigurationError(f"{name} takes a number, not {type(value).__name__}.")


def checked_config(config: PollingConfig | None) -> PollingConfig | None:
    """The same; raises `ConfigurationError` for what is none."""
    given: object = config
    if given is not None and not isinstance(given, PollingConfig):
        raise ConfigurationError(f"polling_config takes a PollingConfig, not {type(given).__name__}.")
    return config


class Deadline:
    """A point in time that may never come."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self, at_most: float) -> float:
        """Seconds left, no more than `at_most`."""
        return at_most if self._end is None else max(0.0, min(at_most, self._end - time.monotonic()))

    @property
    def left(self) -> float | None:
        """Seconds left; None for ever."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and time.monotonic() >= self._end


class Wait(Generic[V]):
    """One wait for a resource's state, under one `PollingConfig`; `last` is the value seen last.

    Where looking does not show a value that is not there yet, `peek()` gives it at the deadline.
    """

    def __init__(self, what: str, config: PollingConfig | None, peek: Callable[[], Awaitable[V]] | None = None) -> None:
        self._peek = peek
        self.config = checked_config(config) or PollingConfig()
        self._pause = self.config.interval_seconds if config is not None else _FIRST_PAUSE
        self.last: V | None = None
        self._what = what
        self._deadline = Deadline(self.config.timeout_seconds)
        self._attempts = 0

    async def held(self, look: Callable[[float], Awaitable[V]], *, hold: float) -> V:
        """The first answer of `look(seconds)`, a request that the server holds for `hold` seconds, then answers 408."""
        while True:
            await self._count()
            try:
                return await self._in_time(look(self._deadline.remaining(hold)))
            except WaitTimeoutError:
                continue

    async def polled(self, look: Callable[[], Awaitable[V]], done: Callable[[V], bool]) -> V:
        """The first value of `look()` that is `done`, looking every `interval_seconds`, more often at first."""
        while True:
            await self._count()
            self.last = await self._in_time(look())
            if done(self.last):
                return self.last
            await asyncio.sleep(self._deadline.remaining(self._pause))
            self._pause = min(2 * self._pause, self.config.interval_seconds)

    async def joined(self, task: asyncio.Task[None]) -> None:
        """Wait for `task`, and raise what it raised; it goes on when the wait ends before it."""
        done, _ = await asyncio.wait([task], timeout=self._deadline.left)
        if not done:
            raise await self._late()
        task.result()

    async def _in_time(self, looking: Awaitable[V]) -> V:
        """What a look shows. Once the deadline has passed, that is what is raised, whatever the look led to."""
        left = self._deadline.left
        try:
            async with asyncio.timeout(None if left is None else left + _GRACE):
                return await looking
        except WaitTimeoutError:
            raise
        except (RunloopError, TimeoutError) as error:
            if not self._deadline.passed:
                raise
            raise await self._late() from error

    async def _count(self) -> None:
        limit = self.config.max_attempts
        if (self._attempts and self._deadline.passed) or (limit is not None and self._attempts >= limit):
            raise await self._late()
        self._attempts += 1

    async def _late(self) -> PollingTimeoutError:
        if self._peek is not None:
            self.last = await _seen(self._peek)
        return PollingTimeoutError(f"Gave up waiting for {self._what} after {self._spent()}", last=self.last)

    def _spent(self) -> str:
        seconds = self.config.timeout_seconds
        return f"{seconds:g} s" if seconds is not None and self._deadline.passed else f"{self._attempts} attempts"


async def _seen(peek: Callable[[], Awaitable[V]]) -> V | None:
    """The value, if it can be had soon: the deadline has passed, and is what the caller shall hear of."""
    with suppress(RunloopError, TimeoutError):
        async with asyncio.timeout(_PEEK_SECONDS):
            return await peek()
    return None
