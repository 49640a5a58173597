"""Keeps devboxes alive on services that cannot monitor this kernel: keep-alive times that it renews until it ends.

One thread renews them all, because a cell that computes for hours blocks the notebook's event loop and must not cost
the devboxes. The thread has an event loop of its own, which also sends the shutdowns at exit: while an interpreter
ends, no thread can be started any more and nothing should be imported.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runloop_sdk import APIStatusError, RunloopError

from ..client import sdk_for

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..connection import Connection
    from .presence import Lifetime

T = TypeVar("T")

_RETRY = 15.0  # seconds until a renewal that failed is tried again
_LONGEST_WAIT = 15.0  # seconds between two looks at the clocks: so soon do renewals go on after a machine has slept
_TIMEOUT = 10.0
_AT_ONCE = 16
_ENDED = ("shutdown", "failure")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One moment on both clocks: the monotonic one stands still while a machine sleeps, the wall clock can be set."""

    monotonic: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)

    def since(self, before: ClockReading) -> float:
        """Seconds that have passed. Where the clocks disagree, the larger number: to renew too early does no harm."""
        return max(self.monotonic - before.monotonic, self.wall - before.wall)


@dataclass(slots=True)
class _Renewal:
    """The renewals of one devbox: the next is due `delay` seconds after `tried`."""

    interval: float
    delay: float = 0.0
    tried: ClockReading = field(default_factory=ClockReading)
    renewed_at: float = 0.0

    def left(self, now: ClockReading) -> float:
        """Seconds until the next renewal is due."""
        return self.delay - now.since(self.tried)


class _InlineLoop(asyncio.SelectorEventLoop):
    """Runs blocking work (name lookups, certificates) in its own thread, since no other may be started at exit."""

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # typed by TypeVarTuple there
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised again where the future is awaited
            done.set_exception(error)
        return done


class KeepAlive:
    """The presence of this kernel on a service that cannot monitor it: renewed keep-alive times."""

    is_monitored = False

    def __init__(self, connection: Connection) -> None:
        self._sdk = sdk_for(connection)
        self._renewals: dict[str, _Renewal] = {}
        self._changed = asyncio.Event()
        self._over = False
        self._loop = _InlineLoop()
        # A daemon thread does not keep the process alive; `start_shutdown` gives it its last work before the exit.
        self._thread = threading.Thread(target=self._work, name="runloop_jupyter renewals", daemon=True)
        self._thread.start()

    def headers(self, lifetime: Lifetime) -> Mapping[str, str]:
        """No headers: such a service knows none."""
        return {}

    def add(self, devbox_id: str, lifetime: Lifetime) -> None:
        """Renew a devbox's keep-alive time from now on."""
        # At a third of the time two renewals in a row may fail before the devbox ends.
        # A devbox that says itself when it ends, by an idle time for example, is not kept from that.
        if lifetime.keep_alive is not None:
            self._call_soon(self._renewals.__setitem__, devbox_id, _Renewal(lifetime.keep_alive / 3))

    def drop(self, devbox_id: str) -> None:
        """Stop renewing a devbox's keep-alive time."""
        self._call_soon(self._renewals.pop, devbox_id, None)

    def renewed_at(self, devbox_id: str) -> float:
        """The time of the last renewal by this kernel, in seconds since 1970; 0 for never."""
        renewal = self._renewals.get(devbox_id)
        return 0.0 if renewal is None else renewal.renewed_at

    def reconnect(self, connection: Connection) -> None:
        """Send renewals to the service's new address from now on."""
        asyncio.run_coroutine_threadsafe(self._reconnect(sdk_for(connection)), self._loop)

    def start_shutdown(self, devbox_ids: Iterable[str]) -> Future[None]:
        """Begin to shut these devboxes down. Those that cannot be reached end when their keep-alive time does."""
        return asyncio.run_coroutine_threadsafe(self._end(tuple(devbox_ids)), self._loop)

    async def shut_down(self, devbox_ids: Iterable[str]) -> None:
        """Shut these devboxes down while the process goes on."""
        await asyncio.wrap_future(self.start_shutdown(devbox_ids))

    def _call_soon(self, change: Callable[..., object], *args: object) -> None:
        def apply() -> None:
            change(*args)
            self._changed.set()

        self._loop.call_soon_threadsafe(apply)

    # What follows runs in the thread.

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._renew_until_over())
        finally:
            self._loop.close()

    async def _renew_until_over(self) -> None:
        while not self._over:
            # Before the round: what is added during it ends the pause after it at once.
            self._changed.clear()
            await self._renew_due(ClockReading())
            waits = (each.left(ClockReading()) for each in self._renewals.values())
            await self._pause(min(waits, default=_LONGEST_WAIT))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, min(seconds, _LONGEST_WAIT))):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _renew_due(self, now: ClockReading) -> None:
        due = [(name, each) for name, each in self._renewals.items() if each.left(now) <= 0]
        await _run_limited(partial(self._renew, name, each) for name, each in due)

    async def _renew(self, devbox_id: str, renewal: _Renewal) -> None:
        delay = renewal.interval
        try:
            await self._sdk.api.devboxes.keep_alive(devbox_id, timeout=_TIMEOUT)
            renewal.renewed_at = time.time()
        except RunloopError as error:
            # A lost renewal is tried again soon. A refusal would only be repeated: the devbox may be suspended, in
            # which case renewals go on when it resumes, or it has ended.
            if not _is_refusal(error):
                delay = min(_RETRY, renewal.interval)
            elif await self._has_ended(devbox_id):
                self._renewals.pop(devbox_id, None)
        renewal.delay, renewal.tried = delay, ClockReading()

    async def _has_ended(self, devbox_id: str) -> bool:
        try:
            view = await self._sdk.api.devboxes.retrieve(devbox_id, timeout=_TIMEOUT)
        except RunloopError as error:
            return error.status_code == 404
        return view.status in _ENDED

    async def _end(self, devbox_ids: tuple[str, ...]) -> None:
        self._renewals.clear()  # first: a renewal must not keep alive what is being shut down
        await _run_limited(partial(self._shut_down_one, name) for name in devbox_ids)
        # The thread and its connections are for this only: with nothing left to renew, they go.
        await self._sdk.aclose()
        self._over = True
        self._changed.set()

    async def _shut_down_one(self, devbox_id: str) -> None:
        with suppress(RunloopError):  # its keep-alive time, which nobody renews now, ends it instead
            await self._sdk.api.devboxes.shutdown(devbox_id)

    async def _reconnect(self, sdk: AsyncRunloopSDK) -> None:
        # Exchanged before anything is awaited: a renewal that is due meanwhile goes to the new address.
        before, self._sdk = self._sdk, sdk
        await before.aclose()


def _is_refusal(error: RunloopError) -> bool:
    """True if the service refused for good: neither it nor the network has a problem that may pass."""
    return isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code != 429


async def _run_limited(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run them all, a few at a time, so that neither the service nor the kernel's file descriptors are exhausted."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def run(job: Callable[[], Awaitable[None]]) -> None:
        async with slots:
            await job()

    await asyncio.gather(*map(run, jobs))
