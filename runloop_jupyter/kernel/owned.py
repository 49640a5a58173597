"""The devboxes that this kernel created, on whatever services, and that end with it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .presence import UNKNOWN_KERNEL, Bond, Presence, seen_presence

if TYPE_CHECKING:
    from runloop_sdk.models.devboxes import DevboxView

    from ..connection import Connection

_LAST_CALL = 3.0  # seconds that the end of a kernel waits: a front end kills one that takes much longer
UNSEEN = 600.0
"""Seconds of keep-alive time where a service cannot see this kernel.

Long enough for a network that is away for some minutes or a lid that is closed for a coffee, renewals being a third of
it apart; short enough that a kernel that was killed costs little. Who closes the lid for longer gives a time.
"""
SEEN = 3600.0
"""The same where it can, or where the devbox stays: as the API has it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of the API for a new devbox, and how the devbox belongs to this kernel."""

    params: Mapping[str, Any]
    bond: Bond


def terms(params: Mapping[str, Any], *, is_seen: bool, keep: bool, keep_alive: float | None) -> Terms:
    """The terms for `params`; `keep_alive` in seconds, None for a fitting one.

    Where they say themselves when the devbox is to end, that is left as it is.
    """
    launch: Mapping[str, Any] = params.get("launch_parameters") or {}
    if _says_its_end(launch):
        return Terms(params, Bond(ends=not keep, renewed=None))
    seconds = keep_alive or (SEEN if is_seen or keep else UNSEEN)
    launch = {**launch, "keep_alive_time_seconds": round(seconds)}
    return Terms({**params, "launch_parameters": launch}, Bond(ends=not keep, renewed=seconds))


def _says_its_end(launch: Mapping[str, Any]) -> bool:
    newer = launch.get("lifecycle") or {}
    return bool(launch.get("keep_alive_time_seconds") or launch.get("after_idle") or newer.get("after_idle"))


@dataclass(frozen=True, slots=True)
class _Owned:
    presence: Presence
    bond: Bond


class OwnedDevboxes:
    """All devboxes that this kernel created."""

    def __init__(self) -> None:
        self._owned: dict[str, _Owned] = {}
        self._renewed: dict[str, float] = {}
        self._presences: dict[Connection, Presence] = {}
        self._appearing = asyncio.Lock()
        self._process = os.getpid()

    def __contains__(self, devbox_id: str) -> bool:
        return devbox_id in self._owned

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._owned))

    def keeps(self, devbox_id: str) -> bool:
        """Whether a devbox stays when the kernel ends."""
        owned = self._owned.get(devbox_id)
        return owned is None or not owned.bond.ends

    def outlives_silence(self, devbox_id: str) -> float | None:
        """Seconds that a devbox goes on after the kernel's last sign of life; None where its end is seen."""
        owned = self._owned.get(devbox_id)
        return None if owned is None or owned.presence.is_seen else owned.bond.renewed

    def is_held(self, devbox_id: str) -> bool:
        """Whether its keep-alive time does not begin before the kernel's end."""
        owned = self._owned.get(devbox_id)
        return owned is not None and owned.presence.is_seen and owned.bond.renewed is not None

    def renewed_at(self, devbox_id: str) -> float:
        """When this kernel last started a devbox's keep-alive time again, in seconds since 1970; 0 for never."""
        owned = self._owned.get(devbox_id)
        return max(self._renewed.get(devbox_id, 0.0), owned.presence.renewed_at(devbox_id) if owned else 0.0)

    def note_renewal(self, devbox_id: str) -> None:
        """A devbox's keep-alive time was started again now, by the user."""
        self._renewed[devbox_id] = time.time()

    async def create(
        self,
        on: Connection,
        make: Callable[..., Awaitable[DevboxView]],
        params: Mapping[str, Any],
        *,
        keep: bool,
        keep_alive: float | None,
    ) -> DevboxView:
        """A new devbox of this kernel, made by `make` with `params` on a service."""
        from runloop_sdk import APIStatusError

        presence = await self._presence(on)
        try:
            return await self._create(presence, make, params, keep, keep_alive)
        except APIStatusError as error:
            if error.status_code != UNKNOWN_KERNEL or not presence.is_seen:
                raise
        if self._presences.get(on) is presence:  # at this address is another service now, with other data
            del self._presences[on]
        return await self._create(await self._presence(on), make, params, keep, keep_alive)

    async def _presence(self, on: Connection) -> Presence:
        async with self._appearing:
            if on not in self._presences:
                self._presences[on] = await _presence_on(on)
            return self._presences[on]

    async def _create(
        self,
        presence: Presence,
        make: Callable[..., Awaitable[DevboxView]],
        params: Mapping[str, Any],
        keep: bool,
        keep_alive: float | None,
    ) -> DevboxView:
        made = terms(params, is_seen=presence.is_seen, keep=keep, keep_alive=keep_alive)
        headers = {**(params.get("extra_headers") or {}), **presence.headers(made.bond)}
        view = await make(**{**made.params, "extra_headers": headers})
        self._owned[view.id] = _Owned(presence, made.bond)
        presence.take(view.id, made.bond)
        return view

    def drop(self, devbox_id: str) -> None:
        """Forget a devbox that has ended."""
        self._renewed.pop(devbox_id, None)
        owned = self._owned.pop(devbox_id, None)
        if owned is not None:
            owned.presence.drop(devbox_id)

    def follow(self, old: Connection, new: Connection) -> None:
        """A service came back elsewhere: its devboxes are there from now on."""
        presence = self._presences.pop(old, None)
        if presence is not None:
            presence.follow(new)
            self._presences[new] = presence

    def end(self) -> None:
        """The process ends: end all devboxes but the kept ones. Takes three seconds at most."""
        if os.getpid() != self._process:  # a forked child does not own its parent's devboxes
            return
        wait([presence.begin_end(ending) for presence, ending in self._let_go().items()], timeout=_LAST_CALL)

    async def leave(self) -> None:
        """End all devboxes but the kept ones although the process lives on. Raises `RunloopError`."""
        await asyncio.gather(*(presence.leave(ending) for presence, ending in self._let_go().items()))

    def _let_go(self) -> Mapping[Presence, list[str]]:
        owned, self._owned = self._owned, {}
        presences = {*self._presences.values(), *(each.presence for each in owned.values())}
        self._presences = {}
        return {
            presence: [name for name, each in owned.items() if each.presence is presence and each.bond.ends]
            for presence in presences
        }


async def _presence_on(connection: Connection) -> Presence:
    """This kernel, made known to a service in the best way that it offers."""
    from .keep_alive import KeepAlive

    return await seen_presence(connection) or KeepAlive(connection)
