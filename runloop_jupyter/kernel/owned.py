"""The devboxes that this kernel created, on any service, most of which end with it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import wait
from typing import TYPE_CHECKING, NamedTuple

from ..text.json_values import RequestParams
from .presence import UNKNOWN_KERNEL, Lifetime, Presence

if TYPE_CHECKING:
    from runloop_sdk.models.devboxes import DevboxView

    from ..connection import Connection

_EXIT_TIMEOUT = 3.0  # seconds that the end of a kernel waits: a front end kills one that takes much longer
UNMONITORED_KEEP_ALIVE = 600.0
"""The keep-alive time of a devbox whose service cannot monitor this kernel, in seconds.

It is renewed every third of that. So it survives a network that is down for some minutes, or a laptop's lid that is
closed for a coffee; and a kernel that was killed costs little. A user who is away for longer sets a longer time.
"""
DEFAULT_KEEP_ALIVE = 3600.0
"""The keep-alive time of any other devbox, in seconds: the API's own default."""


class Terms(NamedTuple):
    """The parameters of a request for a new devbox, and the devbox's lifetime."""

    params: RequestParams
    lifetime: Lifetime


def terms(params: RequestParams, *, is_monitored: bool, keep: bool, keep_alive: float | None) -> Terms:
    """The terms for `params`. `keep_alive` is in seconds; None takes the default.

    Parameters that say when the devbox is to end are left as they are.
    """
    launch: RequestParams = params.get("launch_parameters") or {}
    if _has_own_end(launch):
        return Terms(params, Lifetime(ends_with_kernel=not keep, keep_alive=None))
    seconds = keep_alive or (DEFAULT_KEEP_ALIVE if is_monitored or keep else UNMONITORED_KEEP_ALIVE)
    # Also where the service watches the kernel: then this time begins when the kernel has ended.
    launch = {**launch, "keep_alive_time_seconds": round(seconds)}
    return Terms({**params, "launch_parameters": launch}, Lifetime(ends_with_kernel=not keep, keep_alive=seconds))


def _has_own_end(launch: RequestParams) -> bool:
    newer = launch.get("lifecycle") or {}
    return bool(launch.get("keep_alive_time_seconds") or launch.get("after_idle") or newer.get("after_idle"))


class _Owned(NamedTuple):
    presence: Presence
    lifetime: Lifetime


class OwnedDevboxes:
    """All devboxes that this kernel created."""

    def __init__(self) -> None:
        self._owned: dict[str, _Owned] = {}
        self._renewed: dict[str, float] = {}
        self._presences: dict[Connection, Presence] = {}
        self._connecting = asyncio.Lock()
        self._process = os.getpid()

    def __contains__(self, devbox_id: str) -> bool:
        return devbox_id in self._owned

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._owned))

    def outlives_kernel(self, devbox_id: str) -> bool:
        """True if a devbox stays when the kernel ends."""
        owned = self._owned.get(devbox_id)
        return owned is None or not owned.lifetime.ends_with_kernel

    def grace_period(self, devbox_id: str) -> float | None:
        """Seconds that a devbox runs on after the last renewal; None if the service monitors the kernel."""
        owned = self._owned.get(devbox_id)
        return None if owned is None or owned.presence.is_monitored else owned.lifetime.keep_alive

    def is_held_alive(self, devbox_id: str) -> bool:
        """True if the service starts a devbox's keep-alive time only when the kernel ends."""
        owned = self._owned.get(devbox_id)
        return owned is not None and owned.presence.is_monitored and owned.lifetime.keep_alive is not None

    def renewed_at(self, devbox_id: str) -> float:
        """The last time that this kernel renewed a devbox's keep-alive time, in seconds since 1970; 0 for never."""
        owned = self._owned.get(devbox_id)
        return max(self._renewed.get(devbox_id, 0.0), owned.presence.renewed_at(devbox_id) if owned else 0.0)

    def note_renewal(self, devbox_id: str) -> None:
        """Note that the user renewed a devbox's keep-alive time just now."""
        self._renewed[devbox_id] = time.time()

    async def create(
        self,
        on: Connection,
        make: Callable[..., Awaitable[DevboxView]],
        params: RequestParams,
        *,
        keep: bool,
        keep_alive: float | None,
    ) -> DevboxView:
        """Create a devbox of this kernel on a service, by calling `make` with `params`."""
        from runloop_sdk import APIStatusError

        presence = await self._presence(on)
        try:
            return await self._create(presence, make, params, keep, keep_alive)
        except APIStatusError as error:
            if error.status_code != UNKNOWN_KERNEL or not presence.is_monitored:
                raise
        # Another service, with other data, answers at this address now: make the kernel known to it, and try again.
        if self._presences.get(on) is presence:
            del self._presences[on]
        return await self._create(await self._presence(on), make, params, keep, keep_alive)

    async def _presence(self, on: Connection) -> Presence:
        async with self._connecting:  # devboxes that are created at once share one presence
            if on not in self._presences:
                self._presences[on] = await _presence_on(on)
            return self._presences[on]

    async def _create(
        self,
        presence: Presence,
        make: Callable[..., Awaitable[DevboxView]],
        params: RequestParams,
        keep: bool,
        keep_alive: float | None,
    ) -> DevboxView:
        made = terms(params, is_monitored=presence.is_monitored, keep=keep, keep_alive=keep_alive)
        headers = {**(params.get("extra_headers") or {}), **presence.headers(made.lifetime)}
        view = await make(**{**made.params, "extra_headers": headers})
        # With nothing awaited since the answer: a Stop between the two would leave a devbox that nobody owns.
        self._owned[view.id] = _Owned(presence, made.lifetime)
        presence.add(view.id, made.lifetime)
        return view

    def drop(self, devbox_id: str) -> None:
        """Forget a devbox that has ended."""
        self._renewed.pop(devbox_id, None)
        owned = self._owned.pop(devbox_id, None)
        if owned is not None:
            owned.presence.drop(devbox_id)

    def reconnect(self, old: Connection, new: Connection) -> None:
        """Follow a service that was started again at another address."""
        presence = self._presences.pop(old, None)
        if presence is not None:
            presence.reconnect(new)
            self._presences[new] = presence

    def end(self) -> None:
        """Shut down all devboxes but the kept ones when the process exits. Takes three seconds at most."""
        if os.getpid() != self._process:  # a forked child runs the exit handlers too, but does not own the devboxes
            return
        wait([presence.start_shutdown(ending) for presence, ending in self._release().items()], timeout=_EXIT_TIMEOUT)

    async def shut_down(self) -> None:
        """Shut down all devboxes but the kept ones while the process goes on. Raises `RunloopError`."""
        await asyncio.gather(*(presence.shut_down(ending) for presence, ending in self._release().items()))

    def _release(self) -> Mapping[Presence, list[str]]:
        """Disown all devboxes; returns, by presence, the ids of those that end with the kernel."""
        # Taken over at once, so that a second call, from an exit handler for example, finds nothing left to end.
        owned, self._owned = self._owned, {}
        presences = {*self._presences.values(), *(each.presence for each in owned.values())}
        self._presences = {}
        return {
            presence: [
                devbox_id
                for devbox_id, each in owned.items()
                if each.presence is presence and each.lifetime.ends_with_kernel
            ]
            for presence in presences
        }


async def _presence_on(connection: Connection) -> Presence:
    """Make this kernel known to a service, in the best way that the service offers."""
    monitored: Presence | None = None
    if connection.engine:
        from .connection_presence import connection_presence

        monitored = await connection_presence(connection)
    elif sys.platform != "win32":
        from .lock_presence import lock_presence

        monitored = await lock_presence(connection)
    if monitored is not None:
        return monitored
    from .keep_alive import KeepAlive

    return KeepAlive(connection)
