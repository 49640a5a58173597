"""Axons: channels of events, each with a database of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .axon_events import AxonEvents
from .axon_sql import AxonSql
from .bell import Bell
from .errors import NotFoundError
from .ids import new_id, now_ms
from .requests import Requests
from .store import Document

if TYPE_CHECKING:
    from pathlib import Path

    from .axon_sql import Result, SqlError, Statement
    from .store import Page, Query, Store

_BATCH = 500


@dataclass(frozen=True, slots=True)
class AxonRecord:
    """All that is known of an axon, apart from its events and its database."""

    id: str
    created_at_ms: int
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted_at_ms: int | None = None


class _Channel:
    """Those who listen to one axon. Counts, as nobody may be waiting when something happens."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.changes = 0

    def ring(self) -> None:
        self.changes += 1
        self.bell.ring()


class Axons:
    """All axons of this machine."""

    def __init__(self, store: Store, events: AxonEvents, sql: AxonSql) -> None:
        self._store = store
        self._events = events
        self._sql = sql
        self._requests = Requests()
        self._channels: WeakValueDictionary[str, _Channel] = WeakValueDictionary()
        self._closing = False

    @classmethod
    def open(cls, store: Store, folder: Path) -> Axons:
        """The axons whose events and databases lie in `folder`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(store, AxonEvents.open(folder / "events"), AxonSql(folder))

    async def create(self, name: str | None, metadata: Mapping[str, str], request_id: str | None) -> AxonRecord:
        """A new axon; the same request once more is the same axon."""
        known = self._requests.made("create", request_id)
        if known is not None:
            return await self.get(known)
        record = await self._keep(AxonRecord(new_id("axn"), now_ms(), name, metadata))
        self._requests.note(record.id, "create", request_id)
        return record

    async def get(self, axon_id: str) -> AxonRecord:
        """One axon, deleted ones too; `NotFoundError` if there never was one."""
        body = await self._store.get("axon", axon_id)
        if body is None:
            raise NotFoundError(f"No axon has the id {axon_id!r}.")
        return AxonRecord(**body)

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, axon_id: str, metadata: Mapping[str, str] | None) -> AxonRecord:
        """Give it other metadata, if any."""
        record = await self._live(axon_id)
        return record if metadata is None else await self._keep(replace(record, metadata=metadata))

    async def delete(self, axon_id: str) -> AxonRecord:
        """Its events and its database are gone, its record stays. Once more is no error."""
        record = await self.get(axon_id)
        if record.deleted_at_ms is None:
            record = await self._keep(replace(record, deleted_at_ms=now_ms()))
        await self._events.drop(axon_id)
        await self._sql.drop(axon_id)
        self._ring(axon_id)
        return record

    async def publish(self, axon_id: str, event: Mapping[str, str], request_id: str | None) -> tuple[int, int]:
        """Keep an event and send it to who listens; its number and its time. A retry is the same event."""
        await self._live(axon_id)
        known = self._requests.made("publish", axon_id, request_id)
        if known is not None:
            sequence, time_ms = known.split("/")
            return int(sequence), int(time_ms)
        now = now_ms()
        # ASCII only: many clients end a line of a stream at characters that are none of its line ends.
        rest = json.dumps({"axon_id": axon_id, **event, "timestamp_ms": now})
        sequence_ = await self._events.add(axon_id, rest)
        self._requests.note(f"{sequence_}/{now}", "publish", axon_id, request_id)
        self._ring(axon_id)
        return sequence_, now

    async def events(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        """One page of its events, newest first."""
        await self._live(axon_id)
        return await self._events.page(axon_id, limit, before, count=count)

    async def subscribe(self, axon_id: str, after: int, heartbeat: float) -> AsyncIterator[str | None]:
        """The views of its events after a number, as they come; None after each `heartbeat` seconds of silence."""
        await self._live(axon_id)
        return self._follow(axon_id, after, heartbeat)

    async def query(self, axon_id: str, statement: Statement) -> Result:
        """Run one statement on its database."""
        await self._live(axon_id)
        return await self._sql.query(axon_id, statement)

    async def batch(self, axon_id: str, statements: list[Statement]) -> list[Result | SqlError]:
        """Run statements on its database, all or none."""
        await self._live(axon_id)
        return await self._sql.batch(axon_id, statements)

    def end_streams(self) -> None:
        """Nobody hears of further events, as the service stops."""
        self._closing = True
        for channel in list(self._channels.values()):
            channel.ring()

    async def aclose(self) -> None:
        """Close the files."""
        self.end_streams()
        self._sql.close()
        await self._events.aclose()

    async def _follow(self, axon_id: str, after: int, heartbeat: float) -> AsyncIterator[str | None]:
        channel = self._channels.setdefault(axon_id, _Channel())
        while not self._closing:
            changes = channel.changes
            found = await self._events.after(axon_id, after, _BATCH)
            for _, view in found:
                yield view
            if found:
                after = found[-1][0]
                continue
            if (await self.get(axon_id)).deleted_at_ms is not None:
                return
            if changes == channel.changes and not await channel.bell.wait(heartbeat):
                yield None

    async def _live(self, axon_id: str) -> AxonRecord:
        record = await self.get(axon_id)
        if record.deleted_at_ms is not None:
            raise NotFoundError(f"Axon {axon_id} has been deleted.")
        return record

    def _ring(self, axon_id: str) -> None:
        channel = self._channels.get(axon_id)
        if channel is not None:
            channel.ring()

    async def _keep(self, record: AxonRecord) -> AxonRecord:
        view = json.dumps(asdict(record), ensure_ascii=False)
        status = "live" if record.deleted_at_ms is None else "deleted"
        body, name = asdict(record), record.name or ""
        await self._store.put(
            Document("axon", record.id, body, status=status, name=name, time_ms=record.created_at_ms, view=view)
        )
        return record
