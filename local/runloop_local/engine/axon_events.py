"""Stores the events of axons in SQLite: appended in order, and read from any sequence number on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .storage import migrations
from .storage.database import Database, transaction
from .storage.idempotency import IN_STORE
from .storage.store import Page

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from .storage.idempotency import IdempotentRequest
    from .storage.reserve import Reserve

_ADD = """
INSERT INTO events SELECT ?, coalesce(max(sequence), 0) + 1, ? FROM events WHERE axon = ? RETURNING sequence
"""
_FIND = "SELECT fingerprint, sequence, time_ms FROM published WHERE request = ? AND time_ms >= ?"
_NOTE = "INSERT OR REPLACE INTO published (request, fingerprint, sequence, time_ms) VALUES (?, ?, ?, ?)"
_FORGET = "DELETE FROM published WHERE position <= (SELECT max(position) FROM published) - ?"
_VIEW = "json_set(rest, '$.sequence', sequence)"


class AxonEvents:
    """Events by axon and sequence number. An event is stored as its public view without the number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, file: Path, reserve: Reserve | None = None) -> AxonEvents:
        """Open the events in `file`, creating it if it does not exist. Raises `EngineError`."""
        return cls(Database.open(file, migrations.EVENTS, reserve))

    async def add(self, axon_id: str, rest: str, time_ms: int, request: IdempotentRequest | None) -> tuple[int, int]:
        """Append an event; returns its sequence number and its time.

        Both are stored for retries of `request`, in the same transaction: a retry returns them and appends nothing.
        """
        if request is None:
            return await self._database.run(lambda events: (_add(events, axon_id, rest), time_ms))
        return await self._database.run(lambda events: _add_once(events, axon_id, rest, time_ms, request))

    async def after(self, axon_id: str, sequence: int, limit: int) -> list[tuple[int, str]]:
        """The first `limit` events after `sequence`, oldest first, as numbers and views."""
        statement = f"SELECT sequence, {_VIEW} FROM events WHERE axon = ? AND sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608 -- constants
        return await self._database.run(lambda events: events.execute(statement, (axon_id, sequence, limit)).fetchall())

    async def page(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        """One page of the events before the number `before`, newest first."""
        return await self._database.run(lambda events: _page(events, axon_id, limit, before, count=count))

    async def drop(self, axon_id: str) -> None:
        """Delete all events of an axon."""
        statement = "DELETE FROM events WHERE axon = ?"
        await self._database.run(lambda events: events.execute(statement, (axon_id,)), urgent=True)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()


def _add(events: sqlite3.Connection, axon_id: str, rest: str) -> int:
    return int(events.execute(_ADD, (axon_id, rest, axon_id)).fetchall()[0][0])


def _add_once(
    events: sqlite3.Connection, axon_id: str, rest: str, time_ms: int, request: IdempotentRequest
) -> tuple[int, int]:
    found = events.execute(_FIND, (request.key, time_ms - IN_STORE.age_ms)).fetchone()
    if found is not None:
        fingerprint, sequence, then_ms = found
        request.require_same(fingerprint)
        return sequence, then_ms
    with transaction(events):
        sequence = _add(events, axon_id, rest)
        events.execute(_NOTE, (request.key, request.fingerprint, sequence, time_ms))
        events.execute(_FORGET, (IN_STORE.count,))
    return sequence, time_ms


def _page(events: sqlite3.Connection, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
    where, values = ("axon = ?", [axon_id]) if before is None else ("axon = ? AND sequence < ?", [axon_id, before])
    found = events.execute(
        f"SELECT {_VIEW} FROM events WHERE {where} ORDER BY sequence DESC LIMIT ?",  # noqa: S608 -- constants
        (*values, limit + 1),
    ).fetchall()
    total = _count(events, axon_id) if count else None
    return Page(tuple(view for (view,) in found[:limit]), len(found) > limit, total)


def _count(events: sqlite3.Connection, axon_id: str) -> int:
    """The number of events, which is the last sequence number, as events are never deleted individually."""
    return int(events.execute("SELECT coalesce(max(sequence), 0) FROM events WHERE axon = ?", (axon_id,)).fetchone()[0])
