"""Waiting for a resource to reach a state. There is no deadline but the one that the caller sets."""

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
"""Seconds between the first two requests of a wait without a config, doubled after each: short waits end soon."""
_PEEK_SECONDS = 2.0
_GRACE = 5.0
"""Seconds after the deadline in which the last request may still be answered."""


@dataclass(frozen=True, slots=True)
class PollingConfig:
    """The deadline and the interval of a wait for a state.

    `timeout_seconds`: raise `PollingTimeoutError` after this long; None, the default, waits as long as it takes.
    `interval_seconds`: the pause between two requests, where the API cannot hold a request until the state is
    reached. Without any config the first pauses are shorter.
    `max_attempts`: raise `PollingTimeoutError` after this many requests; None for no limit.
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
    """The config itself; raises `ConfigurationError` for a value of any other type."""
    given: object = config
    if given is not None and not isinstance(given, PollingConfig):
        raise ConfigurationError(f"polling_config takes a PollingConfig, not {type(given).__name__}.")
    return config


class Deadline:
    """A point in time, or no limit at all."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self, at_most: float) -> float:
        """Seconds left, no more than `at_most`."""
        return at_most if self._end is None else max(0.0, min(at_most, self._end - time.monotonic()))

    @property
    def left(self) -> float | None:
        """Seconds left; None without a limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """True once the time is up."""
        return self._end is not None and time.monotonic() >= self._end


class Wait(Generic[V]):
    """One wait for a resource's state, under one `PollingConfig`; `last` is the value seen last.

    `peek()` fetches the value once more at the deadline, for requests that the API holds: they return nothing before
    the state is reached.
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
        """The first result of `look(seconds)`, a request that the server holds for `hold` seconds, then answers 408."""
        while True:
            await self._count_attempt()
            try:
                return await self._in_time(look(self._deadline.remaining(hold)))
            except WaitTimeoutError:  # the service has held the request as long as it does: ask again
                continue

    async def polled(self, look: Callable[[], Awaitable[V]], done: Callable[[V], bool]) -> V:
        """The first result of `look()` that is `done`, requested every `interval_seconds`, more often at first."""
        while True:
            await self._count_attempt()
            self.last = await self._in_time(look())
            if done(self.last):
                return self.last
            await asyncio.sleep(self._deadline.remaining(self._pause))
            self._pause = min(2 * self._pause, self.config.interval_seconds)

    async def joined(self, task: asyncio.Task[None]) -> None:
        """Wait for `task` and raise its exception, if any. At the deadline the task goes on."""
        # `wait` leaves the task alone at the deadline; `wait_for` would cancel it, and with it the command's callbacks.
        done, _ = await asyncio.wait([task], timeout=self._deadline.left)
        if not done:
            raise await self._timeout_error()
        task.result()

    async def _in_time(self, looking: Awaitable[V]) -> V:
        """The result of a request; an error that comes after the deadline is raised as `PollingTimeoutError`."""
        left = self._deadline.left
        try:
            async with asyncio.timeout(None if left is None else left + _GRACE):
                return await looking
        except WaitTimeoutError:
            raise
        except (RunloopError, TimeoutError) as error:
            # The caller asked for a deadline; a request that fails after it is no other news.
            if not self._deadline.passed:
                raise
            raise await self._timeout_error() from error

    async def _count_attempt(self) -> None:
        limit = self.config.max_attempts
        # The first attempt is made whatever the deadline: a timeout of 0 asks for the current state.
        if (self._attempts and self._deadline.passed) or (limit is not None and self._attempts >= limit):
            raise await self._timeout_error()
        self._attempts += 1

    async def _timeout_error(self) -> PollingTimeoutError:
        if self._peek is not None:
            self.last = await _peeked(self._peek)
        return PollingTimeoutError(f"Gave up waiting for {self._what} after {self._spent()}", last=self.last)

    def _spent(self) -> str:
        seconds = self.config.timeout_seconds
        return f"{seconds:g} s" if seconds is not None and self._deadline.passed else f"{self._attempts} attempts"


async def _peeked(peek: Callable[[], Awaitable[V]]) -> V | None:
    """The value, or None if it takes too long: the wait is over, and no error may hide that."""
    with suppress(RunloopError, TimeoutError):
        async with asyncio.timeout(_PEEK_SECONDS):
            return await peek()
    return None
