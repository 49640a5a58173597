"""Reads the lists of a service into the tables.

A look asks for the newest page; where the list is longer, it also asks for one page of the rest, in turn. So a look
costs the same for ten thousand devboxes as for two thousand, and each of them is seen every few looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..resources.kind import Entry, ResourceKind, Row
from ..resources.kinds import KINDS

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..client import Client
    from ..connection import Connection
    from ..resources.ownership import Ownerships
    from .tables import Tables

_HEAD = 200  # entries of the newest page
_PAGE = 1000  # entries of a page of the rest
_PATIENCE = 12.0  # seconds for one answer


class EmbeddedServiceEnded(Exception):  # noqa: N818 - what happened, not what went wrong in here
    """The embedded service does not run."""


class _Sweep:
    """The walk over the pages after the newest one: where it stands, and when it began."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.began_at = 0.0


class ServiceReader:
    """Reads by a connection of its own, which neither retries in silence nor is closed by a cell.

    `on_switch` is called when another service is read from then on.
    """

    def __init__(
        self, client: Client, ownerships: Ownerships, tables: Tables, *, on_switch: Callable[[], None]
    ) -> None:
        self.connection: Connection | None = None
        """The service that was read last."""
        self._client = client
        self._ownerships = ownerships
        self._ownership_index = ownerships.none()
        self._tables = tables
        self._on_switch = on_switch
        self._sweeps = {name: _Sweep() for name in KINDS}
        self._sdk: AsyncRunloopSDK | None = None
        self._released: list[AsyncRunloopSDK] = []

    async def sdk(self) -> AsyncRunloopSDK:
        """Return the connection. Raises `EmbeddedServiceEnded`: reading starts no service."""
        from runloop_sdk import AsyncRunloopSDK

        now = self._client.service()
        if now is None:
            raise EmbeddedServiceEnded
        if self._sdk is None or now != self.connection:
            self.release()
            await self.close_released()
            self._switch(now)
            self._sdk = AsyncRunloopSDK(bearer_token=now.api_key, base_url=now.base_url, max_retries=0)
        return self._sdk

    def release(self) -> None:
        """Use another connection from now on: the next look may begin before this one is closed."""
        if self._sdk is not None:
            self._released.append(self._sdk)
            self._sdk = None

    async def close_released(self) -> None:
        """Close the connections that are not used any more."""
        while self._released:
            await self._released.pop().aclose()

    async def read(self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any]) -> None:
        """Read the newest of a kind, and a page of the rest. Raises what stands in the way."""
        await self.read_newest(sdk, kind)
        if self.is_amid(kind.name):
            await self.read_on(sdk, kind)

    async def read_newest(self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any]) -> None:
        """Read the newest page of a kind. Raises what stands in the way."""
        if kind.belongs_to_kernels:
            self._ownership_index = await self._ownerships.index()
        sweep, asked_at = self._sweeps[kind.name], time.monotonic()
        page, more = await self._page(sdk, kind, _HEAD, None)
        self._tables.take(kind.name, self._rows(kind, page), asked_at)
        if not more:
            sweep.cursor = None
            self._tables.finish(kind.name, asked_at)
        elif sweep.cursor is None:
            sweep.cursor, sweep.began_at = page[-1].get("id"), asked_at

    async def read_on(self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any]) -> None:
        """Read the next page of the rest."""
        sweep, asked_at = self._sweeps[kind.name], time.monotonic()
        cursor = sweep.cursor
        page, more = await self._page(sdk, kind, _PAGE, cursor)
        self._tables.take(kind.name, self._rows(kind, page), asked_at)
        if sweep.cursor != cursor:
            return  # another look has gone on from here meanwhile
        sweep.cursor = page[-1].get("id") if more else None
        if sweep.cursor is None:
            self._tables.finish(kind.name, sweep.began_at)

    def is_amid(self, kind: str) -> bool:
        """Return True while there are pages of a kind that were not read yet since the last that was."""
        return self._sweeps[kind].cursor is not None

    def begin_anew(self, kind: str) -> None:
        """Read the pages of a kind from the first one on: where it stood may be gone."""
        self._sweeps[kind] = _Sweep()

    def row(self, kind: ResourceKind[Any], entry: Entry) -> Row | None:
        """Return the row of an entry, with whose it is where a kernel may own it; None where it has no id."""
        if not kind.belongs_to_kernels:
            return kind.row(entry)
        identity = str(entry.get("id"))
        belonging = self._ownership_index.of(identity, ended=entry.get("status") in kind.ended)
        renewed = self._ownerships.owned.renewed_at(identity)
        launch = entry.get("launch_parameters")
        seconds = launch.get("keep_alive_time_seconds") if isinstance(launch, Mapping) else None
        known = {
            "owner": belonging.owner,
            "with_kernel": belonging.end(seconds if isinstance(seconds, int) else None),
            "renewed_time_ms": round((renewed + self._tables.ahead) * 1000) if renewed else None,
        }
        return kind.row({**entry, **known})

    def _switch(self, now: Connection) -> None:
        before, self.connection = self.connection, now
        if before is None or before.service == now.service:
            return
        for kind in KINDS:
            self.begin_anew(kind)
            self._tables.clear(kind)
        self._on_switch()

    def _rows(self, kind: ResourceKind[Any], entries: Iterable[Entry]) -> Iterable[Row]:
        rows = (self.row(kind, entry) for entry in entries)
        return (row for row in rows if row is not None)

    async def _page(
        self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any], limit: int, after: str | None
    ) -> tuple[list[Entry], bool]:
        query = {"limit": limit, "include_total_count": False} | ({"starting_after": after} if after else {})
        async with asyncio.timeout(_PATIENCE):
            answer = await sdk.api.get_json(kind.path, query)
        items = answer.get(kind.items) if isinstance(answer, Mapping) else None
        found = [entry for entry in items if isinstance(entry, Mapping)] if isinstance(items, list) else []
        stuck = bool(found) and found[-1].get("id") in (after, None)
        return found, bool(found) and not stuck and answer.get("has_more") is True


def explain(error: Exception, connection: Connection | None) -> str:
    """Explain an error to the panel's user: what went wrong, and what to do."""
    from runloop_sdk import APIConnectionError, APIStatusError, AuthenticationError, RateLimitError

    label = connection.label if connection else "Runloop"
    label = label[0].upper() + label[1:]
    if isinstance(error, EmbeddedServiceEnded):
        return "The embedded service has ended. The next cell that uses it starts it again, or press Start."
    if isinstance(error, AuthenticationError):
        return f"{label} does not accept the API key (401). Set a valid RUNLOOP_API_KEY."
    if isinstance(error, RateLimitError):
        return f"{label} asks for fewer requests (429)."
    if isinstance(error, APIStatusError):
        return f"{label} answered {error.status_code}: {error.message}."
    if isinstance(error, TimeoutError):
        return f"{label} does not answer ({_PATIENCE:.0f} s)."
    if isinstance(error, APIConnectionError):
        return f"{label} is out of reach: {error}"
    return str(error) or type(error).__name__
