"""The events of axons, in SQLite: written in order, and read from any number on."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from .errors import DiskFullError
from .store import Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS events (
    axon TEXT NOT NULL, sequence INTEGER NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (axon, sequence)
) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO events SELECT ?, coalesce(max(sequence), 0) + 1, ? FROM events WHERE axon = ? RETURNING sequence
"""
_VIEW = "json_set(rest, '$.sequence', sequence)"


class AxonEvents:
    """Events by axon and number. An event is kept as its public view, without its number."""

    def __init__(self, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._connection = connection

    @classmethod
    def open(cls, file: Path) -> AxonEvents:
        """The events in `file`, made if needed."""
        thread = ThreadPoolExecutor(1, "events")
        return cls(thread, thread.submit(_connect, file).result())

    async def add(self, axon_id: str, rest: str) -> int:
        """Keep an event; its number, which is one more than the last one's."""
        return await self._run(lambda: int(self._connection.execute(_ADD, (axon_id, rest, axon_id)).fetchall()[0][0]))

    async def after(self, axon_id: str, sequence: int, limit: int) -> list[tuple[int, str]]:
        """The first `limit` numbers and views after `sequence`, oldest first."""
        statement = f"SELECT sequence, {_VIEW} FROM events WHERE axon = ? AND sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608 -- constants
        return await self._run(lambda: self._connection.execute(statement, (axon_id, sequence, limit)).fetchall())

    async def page(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        """One page, newest first, of those before the number `before`."""
        return await self._run(lambda: self._page(axon_id, limit, before, count=count))

    async def drop(self, axon_id: str) -> None:
        """Forget all events of an axon."""
        await self._run(lambda: self._connection.execute("DELETE FROM events WHERE axon = ?", (axon_id,)))

    async def aclose(self) -> None:
        """Close the file."""
        await self._run(self._connection.close)
        self._thread.shutdown()

    def _page(self, axon_id: str, limit: int, before: int | None, *, count: bool) -> Page:
        where, values = ("axon = ?", [axon_id]) if before is None else ("axon = ? AND sequence < ?", [axon_id, before])
        found = self._connection.execute(
            f"SELECT {_VIEW} FROM events WHERE {where} ORDER BY sequence DESC LIMIT ?",  # noqa: S608 -- constants
            (*values, limit + 1),
        ).fetchall()
        counted = self._connection.execute("SELECT count(*) FROM events WHERE axon = ?", (axon_id,)) if count else None
        total = None if counted is None else int(counted.fetchone()[0])
        return Page(tuple(view for (view,) in found[:limit]), len(found) > limit, total)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.OperationalError as error:
            raise DiskFullError(f"The service cannot keep its events: {error}. Is the disk full?") from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection
