"""What must outlive the service: documents in SQLite, written and read by one thread in order."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import DiskFullError, EngineError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

T = TypeVar("T")

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    time_ms INTEGER NOT NULL DEFAULT 0,
    view TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS by_status ON documents (kind, status, position);
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, position);
"""
_PUT = """
INSERT INTO documents (kind, id, parent, status, name, time_ms, view, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET
    status = excluded.status, name = excluded.name, time_ms = excluded.time_ms,
    view = excluded.view, body = excluded.body
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One stored thing; everything but `body` is there to find it by, or to answer a list with."""

    kind: str
    id: str
    body: dict[str, Any]
    parent: str = ""
    status: str = ""
    name: str = ""
    time_ms: int = 0
    view: str = ""
    """The public JSON text, so that a list of thousands needs no parsing."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first: JSON texts of views."""

    views: tuple[str, ...]
    has_more: bool
    total_count: int | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which documents a list shows, and from where on."""

    kind: str
    limit: int = 20
    starting_after: str | None = None
    status: str | None = None
    search: str | None = None
    count: bool = True
    parent: str | None = None
    name: str | None = None
    name_part: str | None = None
    """What the name must hold, in any case of letters."""
    without: tuple[str, ...] = ()
    """Statuses to leave out."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Values that top-level fields of the body must have."""
    metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys of the body's `metadata`, and the values of which each must have one."""


class Store:
    """Documents by kind and id. Every call is done when it returns, and survives a kill of the service."""

    def __init__(self, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._connection = connection

    @classmethod
    def open(cls, file: Path) -> Store:
        """The store in `file`, made if needed. `DiskFullError` or `EngineError` where that cannot be."""
        thread = ThreadPoolExecutor(1, "store")
        try:
            return cls(thread, thread.submit(_connect, file).result())
        except sqlite3.Error as error:
            thread.shutdown()
            raise _converted(error) from error

    async def put(self, document: Document) -> None:
        """Keep `document`, in place of the one with its kind and id."""
        await self._run(lambda: _put(self._connection, document))

    async def get(self, kind: str, document_id: str) -> dict[str, Any] | None:
        """The body of one document."""
        return await self._run(lambda: _get(self._connection, kind, document_id))

    async def page(self, query: Query) -> Page:
        """The public views of one page, newest first. `NotFoundError` for an unknown cursor."""
        return await self._run(lambda: _page(self._connection, query))

    async def values(self, kind: str, name: str) -> set[str]:
        """All that the lists called `name` in the bodies of a kind hold."""
        statement = "SELECT DISTINCT value FROM documents, json_each(body, ?) WHERE kind = ?"
        rows = await self._run(lambda: self._connection.execute(statement, (f"$.{name}", kind)).fetchall())
        return {value for (value,) in rows}

    async def bodies(self, kind: str, *, limit: int = -1, **filters: str) -> list[dict[str, Any]]:
        """The newest `limit` bodies of a kind with this `parent` or `status`, oldest first."""
        return await self._run(lambda: _bodies(self._connection, kind, filters, limit))

    async def delete(self, kind: str, document_id: str) -> None:
        """Forget one document."""
        statement = "DELETE FROM documents WHERE kind = ? AND id = ?"
        await self._run(lambda: _write(self._connection, statement, (kind, document_id)))

    async def delete_before(self, kind: str, time_ms: int) -> None:
        """Forget all documents of a kind that are older."""
        statement = "DELETE FROM documents WHERE kind = ? AND time_ms < ?"
        await self._run(lambda: _write(self._connection, statement, (kind, time_ms)))

    async def delete_children(self, kind: str, parent: str) -> None:
        """Forget all documents of a kind that belong to `parent`."""
        statement = "DELETE FROM documents WHERE kind = ? AND parent = ?"
        await self._run(lambda: _write(self._connection, statement, (kind, parent)))

    async def aclose(self) -> None:
        """Close the file."""
        await self._run(self._connection.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise _converted(error) from error


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def _converted(error: sqlite3.Error) -> EngineError:
    if isinstance(error, sqlite3.OperationalError):
        return DiskFullError(f"The service cannot keep its records: {error}. If its disk is full, shut a devbox down.")
    return EngineError(f"The service's records are damaged: {error}.")


def _write(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
    connection.execute(statement, values)


def _put(connection: sqlite3.Connection, document: Document) -> None:
    body = json.dumps(document.body, ensure_ascii=False)
    keys = (document.kind, document.id, document.parent, document.status, document.name, document.time_ms)
    _write(connection, _PUT, (*keys, document.view, body))


def _get(connection: sqlite3.Connection, kind: str, document_id: str) -> dict[str, Any] | None:
    found = connection.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, document_id)).fetchone()
    return None if found is None else _loaded(found[0])


def _bodies(connection: sqlite3.Connection, kind: str, filters: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    where = " AND ".join(["kind = ?", *(f"{column} = ?" for column in filters)])
    rows = connection.execute(
        f"SELECT body FROM documents WHERE {where} ORDER BY position DESC LIMIT ?",  # noqa: S608 -- constants
        (kind, *filters.values(), limit),
    ).fetchall()
    return [_loaded(body) for (body,) in reversed(rows)]


def _loaded(body: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(body)
    return loaded


def _page(connection: sqlite3.Connection, query: Query) -> Page:
    where, values = _conditions(query)
    total = _count(connection, where, values) if query.count else None
    if query.starting_after is not None:
        where += " AND position < ?"
        values = (*values, _position(connection, query.kind, query.starting_after))
    rows = connection.execute(
        f"SELECT view FROM documents WHERE {where} ORDER BY position DESC LIMIT ?",  # noqa: S608 -- constants
        (*values, query.limit + 1),
    ).fetchall()
    return Page(tuple(view for (view,) in rows[: query.limit]), len(rows) > query.limit, total)


def _conditions(query: Query) -> tuple[str, tuple[object, ...]]:
    where, values = ["kind = ?"], [query.kind]
    for column, wanted in (("status", query.status), ("parent", query.parent), ("name", query.name)):
        if wanted is not None:
            where.append(f"{column} = ?")
            values.append(wanted)
    if query.without:
        where.append(f"status NOT IN ({_marks(query.without)})")
        values += query.without
    if query.search:
        where.append("(instr(lower(id), ?) OR instr(lower(name), ?))")
        values += [query.search.lower()] * 2
    if query.name_part:
        where.append("instr(lower(name), ?)")
        values.append(query.name_part.lower())
    for name, wanted in query.fields.items():
        where.append("json_extract(body, ?) = ?")
        values += [f"$.{name}", wanted]
    for key, choice in query.metadata.items():
        where.append(
            f"EXISTS (SELECT 1 FROM json_each(body, '$.metadata') WHERE key = ? AND value IN ({_marks(choice)}))"  # noqa: S608 -- constants and ?
        )
        values += [key, *choice]
    return " AND ".join(where), tuple(values)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _count(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
    statement = f"SELECT count(*) FROM documents WHERE {where}"  # noqa: S608 -- `where` is made of constants
    return int(connection.execute(statement, values).fetchone()[0])


def _position(connection: sqlite3.Connection, kind: str, document_id: str) -> int:
    found = connection.execute(
        "SELECT position FROM documents WHERE kind = ? AND id = ?", (kind, document_id)
    ).fetchone()
    if found is None:
        raise NotFoundError(f"No {kind} has the id {document_id!r} given as starting_after.")
    return int(found[0])
