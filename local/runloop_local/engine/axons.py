"""Axons: channels of events, each with its own SQL database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import msgspec

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
    """The stored fields of an axon, without its events and its database."""

    id: str
    created_at_ms: int
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted_at_ms: int | None = None


class _Channel:
    """The subscribers and users of one axon. Changes are counted, as a subscriber may not be waiting at the time."""

    def __init__(self) -> None:
        self.changed = ChangeNotifier()
        self.changes = 0
        self.users = 0
        self.user_left = ChangeNotifier()
        """Notified when a user is done."""

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
        """Open the axons with their events and databases in `folder`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(store, AxonEvents.open(folder / "events", reserve), AxonSql(folder))

    async def restore(self) -> None:
        """Forget database changes that were prepared but not committed, because the service was killed in between."""
        for axon_id, request_id, mark in await self._store.last_children(REQUEST, _mark):
            try:
                committed = await self._sql.mark(axon_id)
            except EngineError as error:  # the other axons still work
                self._store.notes.add(str(error), "axon", axon_id)
                continue
            if mark != committed:
                await self._store.delete(REQUEST, request_id)

    async def create(self, name: str | None, metadata: Mapping[str, str], attempt: Attempt) -> AxonRecord:
        """Create an axon, or return the one that an earlier attempt has created."""
        if attempt.made is not None:
            return await self.get(attempt.made)
        record = AxonRecord(new_id("axn"), now_ms(), name, metadata)
        await self._records.put(record, *attempt.note(record.id))
        return record

    async def get(self, axon_id: str) -> AxonRecord:
        """The axon of this id, even if deleted; raises `NotFoundError` if it never existed."""
        return await self._records.get(axon_id)

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, axon_id: str, metadata: Mapping[str, str] | None) -> AxonRecord:
        """Replace its metadata, unless that is None."""
        if metadata is None:
            return await self._get_live(axon_id)
        return await self._records.change(axon_id, lambda record: replace(_require_live(record), metadata=metadata))

    async def delete(self, axon_id: str) -> AxonRecord:
        """Delete its events and its database, but keep its record. Repeating it is not an error."""
        record = await self._records.change(axon_id, _deleted, urgent=True)
        # Requests that began before the change may still write; dropping the data first would bring some back.
        channel = self._channel(axon_id)
        await wait_until(channel.user_left, lambda: not channel.users)
        await self._events.drop(axon_id)
        await self._sql.drop(axon_id)
        channel.notify()
        return record

    async def publish(self, axon_id: str, event: Mapping[str, str], attempt: Attempt) -> tuple[int, int]:
        """Store an event and send it to subscribers; returns its number and time. A retry adds no second event."""
        async with self._using(axon_id) as channel:
            now = now_ms()
            # ASCII only, as many clients split event streams at Unicode line separators, too.
            rest = json.dumps({"axon_id": axon_id, **event, "timestamp_ms": now})
            added = await self._events.add(axon_id, rest, now, attempt.request)
            channel.notify()
            return added

    async def events(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        """One page of its events, newest first."""
        await self._get_live(axon_id)
        return await self._events.page(axon_id, limit, before, count=count)

    async def subscribe(self, axon_id: str, after: int) -> AsyncIterator[str]:
        """Iterate over the views of its events after a sequence number, including future ones."""
        await self._get_live(axon_id)
        return self._iterate_events(axon_id, after)

    async def query(self, axon_id: str, statement: Statement, attempt: Attempt) -> Result:
        """Run one statement on its database; raises `InvalidError` if that fails."""
        outcome = (await self.batch(axon_id, [statement], attempt))[0]
        if isinstance(outcome, SqlError):
            raise InvalidError(str(outcome))
        return outcome

    async def batch(self, axon_id: str, statements: list[Statement], attempt: Attempt) -> list[Result | SqlError]:
        """Run statements on its database, all or none, or return the results of an earlier attempt."""
        async with self._using(axon_id):
            if attempt.made is not None:
                return [Result(**result) for result in json.loads(attempt.made)["results"]]
            try:
                return await self._sql.batch(axon_id, statements, self._prepare_hook(axon_id, attempt))
            except EngineError:
                if attempt.noted is not None:  # prepared, but not committed
                    await self._store.delete(REQUEST, attempt.noted.id)
                raise

    def _prepare_hook(self, axon_id: str, attempt: Attempt) -> Prepare | None:
        """A callback that stores a change's results before it is committed.

        If the service is killed in between, `restore` finds out by the mark that it was not committed.
        """
        if attempt.request is None:
            return None
        loop = asyncio.get_running_loop()

        def prepare(mark: int, results: Sequence[Result]) -> None:
            change = json.dumps({"mark": mark, "results": msgspec.to_builtins(results)})
            keeping = self._store.put(*attempt.note(change, parent=axon_id))
            asyncio.run_coroutine_threadsafe(keeping, loop).result()

        return prepare

    def end_streams(self) -> None:
        """End all subscriptions, as the service stops."""
        self._closing = True
        for channel in list(self._channels.values()):
            channel.notify()

    async def aclose(self) -> None:
        """End subscriptions and close the databases."""
        self.end_streams()
        await self._sql.aclose()
        await self._events.aclose()

    async def _iterate_events(self, axon_id: str, after: int) -> AsyncIterator[str]:
        channel = self._channel(axon_id)
        while not self._closing:
            # Read before the query: an event added after it changes the counter, and is not waited for in vain.
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
    async def _using(self, axon_id: str) -> AsyncIterator[_Channel]:
        """Use a live axon; its deletion waits until the block is done."""
        channel = self._channel(axon_id)
        channel.users += 1
        try:
            await self._get_live(axon_id)
            yield channel
        finally:
            channel.users -= 1
            channel.user_left.notify()

    async def _get_live(self, axon_id: str) -> AxonRecord:
        return _require_live(await self.get(axon_id))

    def _channel(self, axon_id: str) -> _Channel:
        return self._channels.setdefault(axon_id, _Channel())


def _require_live(record: AxonRecord) -> AxonRecord:
    if record.deleted_at_ms is not None:
        raise NotFoundError(f"Axon {record.id} has been deleted.")
    return record


def _deleted(record: AxonRecord) -> AxonRecord:
    if record.deleted_at_ms is not None:
        return record
    return replace(record, deleted_at_ms=now_ms(record.created_at_ms))


def _mark(body: Any) -> Any:
    """The mark in a stored change."""
    return json.loads(body["made"])["mark"]


def document(record: AxonRecord) -> Document:
    """The stored form of an axon."""
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
"""Load a record from its stored form; raises `ValueError` if that is invalid."""
