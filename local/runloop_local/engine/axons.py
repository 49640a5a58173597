"""Axons: channels of events, each with a database of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .axon_events import AxonEvents
from .axon_sql import AxonSql, Result, SqlError
from .change_notifier import ChangeNotifier
from .errors import EngineError, InvalidError, NotFoundError
from .ids import new_id, now_ms
from .storage.idempotency import REQUEST
from .storage.record_set import RecordSet
from .storage.records import Record, body_of, loader, shown
from .storage.store import Document
from .waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from .axon_sql import Prepare, Statement
    from .storage.idempotency import Attempt
    from .storage.reserve import Reserve
    from .storage.store import Page, Query, Store

_BATCH = 500


@dataclass(frozen=True, slots=True)
class AxonRecord(Record):
    """All that is known of an axon, apart from its events and its database."""

    id: str
    created_at_ms: int
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted_at_ms: int | None = None


class _Channel:
    """Those who listen to one axon, or use it. Counts, as nobody may be waiting when something happens."""

    def __init__(self) -> None:
        self.changed = ChangeNotifier()
        self.changes = 0
        self.users = 0
        self.left = ChangeNotifier()
        """When one of them has done."""

    def notify(self) -> None:
        self.changes += 1
        self.changed.notify()


class Axons:
    """All axons of this machine."""

    def __init__(self, store: Store, events: AxonEvents, sql: AxonSql) -> None:
        self._store = store
        self._records = RecordSet(store, "axon", loaded, document)
        self._events = events
        self._sql = sql
        self._channels: WeakValueDictionary[str, _Channel] = WeakValueDictionary()
        self._closing = False

    @classmethod
    def open(cls, store: Store, folder: Path, reserve: Reserve | None = None) -> Axons:
        """The axons whose events and databases lie in `folder`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(store, AxonEvents.open(folder / "events", reserve), AxonSql(folder))

    async def restore(self) -> None:
        """Forget changes of databases that were prepared and never committed, as a kill came between."""
        for axon_id, request_id, mark in await self._store.last_children(REQUEST, _mark):
            try:
                committed = await self._sql.mark(axon_id)
            except EngineError as error:  # the other axons are not to suffer from it
                self._store.notes.add(str(error), "axon", axon_id)
                continue
            if mark != committed:
                await self._store.delete(REQUEST, request_id)

    async def create(self, name: str | None, metadata: Mapping[str, str], attempt: Attempt) -> AxonRecord:
        """A new axon; what the attempt has made before is that axon."""
        if attempt.made is not None:
            return await self.get(attempt.made)
        record = AxonRecord(new_id("axn"), now_ms(), name, metadata)
        await self._records.put(record, *attempt.note(record.id))
        return record

    async def get(self, axon_id: str) -> AxonRecord:
        """One axon, deleted ones too; `NotFoundError` if there never was one."""
        return await self._records.get(axon_id)

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, axon_id: str, metadata: Mapping[str, str] | None) -> AxonRecord:
        """Give it other metadata, if any."""
        if metadata is None:
            return await self._live(axon_id)
        return await self._records.change(axon_id, lambda record: replace(_there(record), metadata=metadata))

    async def delete(self, axon_id: str) -> AxonRecord:
        """Its events and its database are gone, its record stays. Once more is no error."""
        record = await self._records.change(axon_id, _deleted, urgent=True)
        # Whoever was let in before would write once more what is dropped here.
        channel = self._channel(axon_id)
        await wait_until(channel.left, lambda: not channel.users)
        await self._events.drop(axon_id)
        await self._sql.drop(axon_id)
        channel.notify()
        return record

    async def publish(self, axon_id: str, event: Mapping[str, str], attempt: Attempt) -> tuple[int, int]:
        """Keep an event and send it to who listens; its number and its time. A retry is the same event."""
        async with self._use(axon_id) as channel:
            now = now_ms()
            # ASCII only: many clients end a line of a stream at characters that are none of its line ends.
            rest = json.dumps({"axon_id": axon_id, **event, "timestamp_ms": now})
            added = await self._events.add(axon_id, rest, now, attempt.request)
            channel.notify()
            return added

    async def events(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        """One page of its events, newest first."""
        await self._live(axon_id)
        return await self._events.page(axon_id, limit, before, count=count)

    async def subscribe(self, axon_id: str, after: int) -> AsyncIterator[str]:
        """The views of its events after a number, as they come."""
        await self._live(axon_id)
        return self._follow(axon_id, after)

    async def query(self, axon_id: str, statement: Statement, attempt: Attempt) -> Result:
        """Run one statement on its database; `InvalidError` where it cannot be."""
        outcome = (await self.batch(axon_id, [statement], attempt))[0]
        if isinstance(outcome, SqlError):
            raise InvalidError(str(outcome))
        return outcome

    async def batch(self, axon_id: str, statements: list[Statement], attempt: Attempt) -> list[Result | SqlError]:
        """Run statements on its database, all or none. Where an earlier attempt has changed it, what that gave."""
        async with self._use(axon_id):
            if attempt.made is not None:
                return [Result(**result) for result in json.loads(attempt.made)["results"]]
            try:
                return await self._sql.batch(axon_id, statements, self._noting(axon_id, attempt))
            except EngineError:
                if attempt.noted is not None:  # it was prepared, and could not be committed
                    await self._store.delete(REQUEST, attempt.noted.id)
                raise

    def _noting(self, axon_id: str, attempt: Attempt) -> Prepare | None:
        """Keeps what a change gives before it is committed: which of both a kill lets happen, `restore` can tell."""
        if attempt.request is None:
            return None
        loop = asyncio.get_running_loop()

        def prepare(mark: int, results: Sequence[Result]) -> None:
            change = json.dumps({"mark": mark, "results": [asdict(result) for result in results]})
            keeping = self._store.put(*attempt.note(change, parent=axon_id))
            asyncio.run_coroutine_threadsafe(keeping, loop).result()

        return prepare

    def end_streams(self) -> None:
        """Nobody hears of further events, as the service stops."""
        self._closing = True
        for channel in list(self._channels.values()):
            channel.notify()

    async def aclose(self) -> None:
        """Close the files."""
        self.end_streams()
        await self._sql.aclose()
        await self._events.aclose()

    async def _follow(self, axon_id: str, after: int) -> AsyncIterator[str]:
        channel = self._channel(axon_id)
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
            if changes == channel.changes:
                await channel.changed.wait()

    @asynccontextmanager
    async def _use(self, axon_id: str) -> AsyncIterator[_Channel]:
        """Work with what an axon has; its deletion waits until that is done."""
        channel = self._channel(axon_id)
        channel.users += 1
        try:
            await self._live(axon_id)
            yield channel
        finally:
            channel.users -= 1
            channel.left.notify()

    async def _live(self, axon_id: str) -> AxonRecord:
        return _there(await self.get(axon_id))

    def _channel(self, axon_id: str) -> _Channel:
        return self._channels.setdefault(axon_id, _Channel())


def _there(record: AxonRecord) -> AxonRecord:
    if record.deleted_at_ms is not None:
        raise NotFoundError(f"Axon {record.id} has been deleted.")
    return record


def _deleted(record: AxonRecord) -> AxonRecord:
    if record.deleted_at_ms is not None:
        return record
    return replace(record, deleted_at_ms=now_ms(record.created_at_ms))


def _mark(body: Any) -> Any:
    """What the database has been marked with by a change that is kept in this form."""
    return json.loads(body["made"])["mark"]


def document(record: AxonRecord) -> Document:
    """An axon as the store keeps it."""
    is_there = record.deleted_at_ms is None
    return Document(
        "axon",
        record.id,
        body_of(record),
        status="live" if is_there else "deleted",
        name=record.name or "",
        time_ms=record.created_at_ms,
        view=json.dumps(shown(record), ensure_ascii=False),
        listed=is_there,
    )


loaded = loader(AxonRecord)
"""The record from its stored form; `ValueError` where that is none."""
