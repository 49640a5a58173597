"""For services that cannot see this kernel: keep-alive times that it renews, and a last call when it ends.

One thread for all devboxes, because a cell that computes for hours blocks the notebook's event loop but must not cost
the devboxes. It has a loop of its own in which all is done that the last call needs: at the end of an interpreter no
thread can be started any more and nothing should be imported.
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
    from .presence import Bond

T = TypeVar("T")

_RETRY = 15.0  # seconds until a renewal that failed is tried again
_LOOK = 15.0  # seconds between two looks at the clocks: so soon after a machine has slept renewals go on
_PATIENCE = 10.0
_AT_ONCE = 16
_ENDED = ("shutdown", "failure")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on both clocks: one stands still while a machine sleeps, the other may be set."""

    monotonic: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)

    def since(self, before: Moment) -> float:
        """Seconds that have passed, rather too many than too few."""
        return max(self.monotonic - before.monotonic, self.wall - before.wall)


@dataclass(slots=True)
class _Renewal:
    """One devbox; its keep-alive time is started again `delay` seconds after `tried`."""

    interval: float
    delay: float = 0.0
    tried: Moment = field(default_factory=Moment)
    renewed_at: float = 0.0

    def left(self, now: Moment) -> float:
        """Seconds until it is due."""
        return self.delay - now.since(self.tried)


class _InlineLoop(asyncio.SelectorEventLoop):
    """Does blocking work (names, certificates) in place: its thread has nothing else to do, and may start no other."""

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # typed by TypeVarTuple there
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it hears of it
            done.set_exception(error)
        return done


class KeepAlive:
    """This kernel, on a service that hears of it by the keep-alive times that it renews."""

    is_seen = False

    def __init__(self, connection: Connection) -> None:
        self._sdk = sdk_for(connection)
        self._renewals: dict[str, _Renewal] = {}
        self._news = asyncio.Event()
        self._over = False
        self._loop = _InlineLoop()
        self._thread = threading.Thread(target=self._work, name="runloop_jupyter renewals", daemon=True)
        self._thread.start()

    def headers(self, bond: Bond) -> Mapping[str, str]:
        """Nothing that the service would understand."""
        return {}

    def take(self, devbox_id: str, bond: Bond) -> None:
        """Renew its keep-alive time from now on."""
        if bond.renewed is not None:
            self._soon(self._renewals.__setitem__, devbox_id, _Renewal(bond.renewed / 3))

    def drop(self, devbox_id: str) -> None:
        """Renew it no more."""
        self._soon(self._renewals.pop, devbox_id, None)

    def renewed_at(self, devbox_id: str) -> float:
        """When its keep-alive time was last started again from here, in seconds since 1970; 0 for never."""
        renewal = self._renewals.get(devbox_id)
        return 0.0 if renewal is None else renewal.renewed_at

    def follow(self, connection: Connection) -> None:
        """Renew there from now on."""
        asyncio.run_coroutine_threadsafe(self._follow(sdk_for(connection)), self._loop)

    def begin_end(self, devbox_ids: Iterable[str]) -> Future[None]:
        """Shut these down; the keep-alive time ends what is not reached."""
        return asyncio.run_coroutine_threadsafe(self._end(tuple(devbox_ids)), self._loop)

    async def leave(self, devbox_ids: Iterable[str]) -> None:
        """Shut these down although the process lives on."""
        await asyncio.wrap_future(self.begin_end(devbox_ids))

    def _soon(self, change: Callable[..., object], *args: object) -> None:
        def apply() -> None:
            change(*args)
            self._news.set()

        self._loop.call_soon_threadsafe(apply)

    # In the thread

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._renew_until_over())
        finally:
            self._loop.close()

    async def _renew_until_over(self) -> None:
        while not self._over:
            self._news.clear()
            await self._renew_due(Moment())
            await self._pause(min((each.left(Moment()) for each in self._renewals.values()), default=_LOOK))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, min(seconds, _LOOK))):
                await self._news.wait()
        except TimeoutError:
            return

    async def _renew_due(self, now: Moment) -> None:
        due = [(name, each) for name, each in self._renewals.items() if each.left(now) <= 0]
        await _in_turns(partial(self._renew, name, each) for name, each in due)

    async def _renew(self, devbox_id: str, renewal: _Renewal) -> None:
        delay = renewal.interval
        try:
            await self._sdk.api.devboxes.keep_alive(devbox_id, timeout=_PATIENCE)
            renewal.renewed_at = time.time()
        except RunloopError as error:
            if not _is_refusal(error):
                delay = min(_RETRY, renewal.interval)
            elif await self._has_ended(devbox_id):
                self._renewals.pop(devbox_id, None)
        renewal.delay, renewal.tried = delay, Moment()

    async def _has_ended(self, devbox_id: str) -> bool:
        try:
            view = await self._sdk.api.devboxes.retrieve(devbox_id, timeout=_PATIENCE)
        except RunloopError as error:
            return error.status_code == 404
        return view.status in _ENDED

    async def _end(self, devbox_ids: tuple[str, ...]) -> None:
        self._renewals.clear()
        await _in_turns(partial(self._shut_down, name) for name in devbox_ids)
        await self._sdk.aclose()
        self._over = True
        self._news.set()

    async def _shut_down(self, devbox_id: str) -> None:
        with suppress(RunloopError):  # then its keep-alive time ends it
            await self._sdk.api.devboxes.shutdown(devbox_id)

    async def _follow(self, sdk: AsyncRunloopSDK) -> None:
        before, self._sdk = self._sdk, sdk
        await before.aclose()


def _is_refusal(error: RunloopError) -> bool:
    """Whether the service said no, and would say so again soon; not that it, or the way to it, has a problem."""
    return isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code != 429


async def _in_turns(works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do all, so many at a time that neither the service nor the descriptors of the kernel run short."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Callable[[], Awaitable[None]]) -> None:
        async with turns:
            await work()

    await asyncio.gather(*map(one, works))
