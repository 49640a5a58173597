"""The persistent store: documents in SQLite, read and written by one thread in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import NotFoundError, UnreadableError
from . import migrations
from .database import Database, transaction
from .notes import Notes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from .reserve import Reserve

T = TypeVar("T")
Load = Callable[[Any], T]
"""Parses a stored body; raises `ValueError` if it is invalid."""

UNREADABLE = "unreadable"
_STEP = 500
"""The number of rows to look up or delete at once, so that other work on the thread is not blocked for long."""
_REMEMBER_S = 7 * 24 * 3600
_INSERT = """
INSERT INTO documents (kind, id, parent, status, name, time_ms, view, body, listed, due_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO """
_ADD = f"{_INSERT} NOTHING"
_PUT = f"""{_INSERT} UPDATE SET
    status = excluded.status, name = excluded.name, time_ms = excluded.time_ms,
    view = excluded.view, body = excluded.body, listed = excluded.listed, due_ms = excluded.due_ms
"""
_HAS_NAME = "name <> '' AND listed = 1"
"""The condition of the partial index on names, which a query must repeat to use it."""
_SEARCHED = "lower(id || char(10) || name)"
"""The text that the indexes of lists hold, in the words of their migration, as SQLite finds it there by these only."""
_COUNTED = frozenset({"kind = ?", "listed = 1", "status = ?"})
"""The conditions for which the table of counts has the number of documents."""
# json_extract fails the whole query at a malformed body: such a record just does not match.
_JSON = "CASE WHEN json_valid(body) THEN body ELSE '{}' END"
_POSITION = """
SELECT position FROM documents WHERE kind = ?1 AND id = ?2
UNION ALL SELECT position FROM deleted WHERE kind = ?1 AND id = ?2 LIMIT 1
"""
_DELETE = "DELETE FROM documents WHERE kind = ? AND id = ?"


@dataclass(frozen=True, slots=True)
class Document:
    """One stored document; all fields but `body` serve to find it, or to answer a list."""

    kind: str
    id: str
    body: dict[str, Any]
    parent: str = ""
    status: str = ""
    name: str = ""
    time_ms: int = 0
    view: str = ""
    """The JSON of its public view, so that a list of thousands needs no parsing."""
    listed: bool = True
    """True if it appears in lists that do not filter by status; False for deleted resources."""
    due_ms: int | None = None
    """The time at which it expires."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first, with views as JSON."""

    views: tuple[str, ...]
    has_more: bool
    total_count: int | None


@dataclass(frozen=True, slots=True)
class Query:
    """The filters and the cursor of a list."""

    kind: str
    limit: int = 20
    starting_after: str | None = None
    id: str | None = None
    status: str | None = None
    search: str | None = None
    count: bool = True
    parent: str | None = None
    name: str | None = None
    name_part: str | None = None
    """Text that the name must contain, ignoring case."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Required values of top-level fields of the body."""
    metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Accepted values by key of the body's `metadata`."""


class Store:
    """Documents by kind and id. When a call returns, its effect survives a kill of the service.

    An unreadable body is kept unchanged and noted in `notes`; lists omit it from then on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.notes = Notes()
        self._loader = _RecordLoader(self.notes)

    @classmethod
    def open(cls, file: Path, reserve: Reserve | None = None, new: Callable[[], None] = lambda: None) -> Store:
        """Open the store in `file`, creating it if it does not exist and `new` permits. Raises `EngineError`."""
        return cls(Database.open(file, migrations.STORE, reserve, new))

    async def put(self, *documents: Document, urgent: bool = False) -> None:
        """Insert or replace documents, in one transaction.

        `urgent` is for changes that free disk space.
        """
        rows = [_row(document) for document in documents]
        await self._database.run(lambda connection: _put_all(connection, rows), urgent=urgent)

    async def add(self, document: Document) -> bool:
        """Insert a document; False, and nothing is changed, if there is one with its id."""
        row = _row(document)
        return await self._database.run(lambda connection: connection.execute(_ADD, row).rowcount > 0)

    async def get(self, kind: str, document_id: str) -> dict[str, Any] | None:
        """The body of one document, or None."""
        return await self.record(kind, document_id, _require_object)

    async def record(self, kind: str, document_id: str, load: Load[T]) -> T | None:
        """The record of one document, or None; raises `UnreadableError` if its body is invalid."""

        def work(connection: sqlite3.Connection) -> T | None:
            text = _get(connection, kind, document_id)
            return None if text is None else self._loader.read(kind, document_id, text, load)

        return await self._database.run(work)

    async def modify(
        self,
        kind: str,
        document_id: str,
        load: Load[T],
        change: Callable[[T | None], Sequence[Document]],
        *,
        delete: bool = False,
        urgent: bool = False,
    ) -> None:
        """Read a record and store the documents that `change` returns, atomically; `delete` deletes what was read.

        `change` gets None if the document does not exist, and may raise. It may be called twice, if disk space had to
        be freed for the first attempt.
        """

        def work(connection: sqlite3.Connection) -> None:
            text = _get(connection, kind, document_id)
            record = None if text is None else self._loader.read(kind, document_id, text, load)
            rows = [_row(document) for document in change(record)]
            if delete:
                _delete(connection, kind, document_id, rows)
            else:
                _put_all(connection, rows)

        await self._database.run(work, urgent=urgent)

    async def page(self, query: Query) -> Page:
        """One page of public views, newest first. Raises `NotFoundError` for an unknown cursor."""
        unreadable = [about[2] for about in self.notes.about(UNREADABLE, query.kind)]
        return await self._database.run(lambda connection: _page(connection, query, unreadable))

    async def records(self, kind: str, load: Load[T], *, limit: int = -1, **filters: str) -> list[T]:
        """The newest `limit` records of a kind with this `parent`, `status` or `name`, oldest first.

        Unreadable ones are omitted.
        """

        def work(connection: sqlite3.Connection) -> list[T]:
            return [
                record for _, record in self._loader.readable(kind, _bodies(connection, kind, filters, limit), load)
            ]

        return await self._database.run(work)

    async def values(self, kind: str, name: str) -> set[str]:
        """All values in the list field `name` of a kind's bodies; raises `UnreadableError` if one lacks the field."""
        return await self._database.run(lambda connection: _values(connection, kind, name))

    async def statuses(self, kind: str, ids: Collection[str]) -> dict[str, str]:
        """The statuses of these documents by id, without those that do not exist."""
        return await self._database.run(lambda connection: _statuses(connection, kind, list(ids)))

    async def due(self, kind: str) -> list[tuple[str, int]]:
        """The ids and expiry times of all documents that expire."""
        statement = "SELECT id, due_ms FROM documents WHERE kind = ? AND due_ms IS NOT NULL ORDER BY due_ms"
        return await self._database.run(lambda connection: connection.execute(statement, (kind,)).fetchall())

    async def index(self, kind: str) -> list[tuple[str, int, int]]:
        """The ids, times and body sizes of a kind's listed documents, oldest first."""
        statement = (
            "SELECT id, time_ms, length(body) FROM documents INDEXED BY listed_by_time WHERE kind = ? AND listed = 1 "
            "ORDER BY time_ms, position"
        )
        return await self._database.run(lambda connection: connection.execute(statement, (kind,)).fetchall())

    async def last_children(self, kind: str, load: Load[T]) -> list[tuple[str, str, T]]:
        """For each parent of documents of a kind: its id, and the id and the record of its newest document.

        Unreadable ones are omitted.
        """
        statement = (
            "SELECT parent, id, body, max(position) FROM documents WHERE kind = ? AND parent <> '' GROUP BY parent"
        )

        def work(connection: sqlite3.Connection) -> list[tuple[str, str, T]]:
            rows = connection.execute(statement, (kind,)).fetchall()
            parents = {name: parent for parent, name, _, _ in rows}
            found = self._loader.readable(kind, ((name, body) for _, name, body, _ in rows), load)
            return [(parents[name], name, record) for name, record in found]

        return await self._database.run(work)

    async def delete(self, kind: str, document_id: str) -> None:
        """Delete one document."""
        await self._database.run(lambda connection: _delete(connection, kind, document_id, []), urgent=True)
        self.notes.remove(UNREADABLE, kind, document_id)

    async def delete_all(self, kind: str, document_ids: Sequence[str]) -> None:
        """Delete documents of a kind by id."""
        await self._database.run(lambda connection: _delete_all(connection, kind, document_ids), urgent=True)

    async def delete_before(self, kind: str, time_ms: int) -> None:
        """Delete all listed documents of a kind that are older."""
        statement = """DELETE FROM documents WHERE position IN (
            SELECT position FROM documents WHERE kind = ? AND listed = 1 AND time_ms < ? LIMIT ?)"""
        while await self._database.delete(statement, kind, time_ms, _STEP) == _STEP:
            pass

    async def delete_children(self, kind: str, parent: str) -> None:
        """Delete all documents of a kind that belong to `parent`."""
        await self._database.delete("DELETE FROM documents WHERE kind = ? AND parent = ?", kind, parent)

    async def forget_positions(self) -> None:
        """Delete the positions of documents that were deleted long ago, as nobody uses them as a cursor any more."""
        await self._database.delete("DELETE FROM deleted WHERE time_s < strftime('%s', 'now') - ?", _REMEMBER_S)

    async def write_out(self) -> None:
        """Leave no trace of overwritten data in the files of a database that was just migrated."""
        await self._database.write_out()

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()


class _RecordLoader:
    """Loads records from stored bodies, and notes those that cannot be read."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def read(self, kind: str, document_id: str, text: str, load: Load[T]) -> T:
        """The record in a body; raises `UnreadableError` if that is invalid."""
        try:
            return load(json.loads(text))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            sentence = f"The record of {kind} {document_id} cannot be read, and is kept unchanged: {error}."
            self._notes.add(sentence, UNREADABLE, kind, document_id)
            raise UnreadableError(sentence) from error

    def readable(self, kind: str, found: Iterable[tuple[str, str]], load: Load[T]) -> Iterator[tuple[str, T]]:
        """The ids and records of these ids and bodies, without those that cannot be read."""
        for document_id, text in found:
            try:
                yield document_id, self.read(kind, document_id, text, load)
            except UnreadableError:
                continue  # already noted


def _delete(connection: sqlite3.Connection, kind: str, document_id: str, rows: list[tuple[object, ...]]) -> None:
    if not rows:
        connection.execute(_DELETE, (kind, document_id))
        return
    with transaction(connection):
        connection.execute(_DELETE, (kind, document_id))
        connection.executemany(_PUT, rows)


def _delete_all(connection: sqlite3.Connection, kind: str, document_ids: Sequence[str]) -> None:
    with transaction(connection):
        connection.executemany(_DELETE, [(kind, document_id) for document_id in document_ids])


def _row(document: Document) -> tuple[object, ...]:
    body = json.dumps(document.body, ensure_ascii=False)
    keys = (document.kind, document.id, document.parent, document.status, document.name, document.time_ms)
    return (*keys, document.view, body, int(document.listed), document.due_ms)


def _put_all(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    if not rows:
        return
    if len(rows) == 1:  # a single statement is a transaction by itself
        connection.execute(_PUT, rows[0])
        return
    with transaction(connection):
        connection.executemany(_PUT, rows)


def _get(connection: sqlite3.Connection, kind: str, document_id: str) -> str | None:
    found = connection.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, document_id)).fetchone()
    return None if found is None else str(found[0])


def _require_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 -- as all loaders
    return body


def _bodies(connection: sqlite3.Connection, kind: str, filters: Mapping[str, str], limit: int) -> list[tuple[str, str]]:
    where = ["kind = ?", *(f"{column} = ?" for column in filters)]
    if "name" in filters:
        where.append(_HAS_NAME)
    rows: list[tuple[str, str]] = connection.execute(
        f"SELECT id, body FROM documents {_index(filters)} WHERE {' AND '.join(where)} ORDER BY position DESC LIMIT ?",  # noqa: S608 -- constants
        (kind, *filters.values(), limit),
    ).fetchall()
    return rows[::-1]


def _index(filters: Collection[str]) -> str:
    """The index for documents of a kind with these columns, newest first."""
    for column, index in (("name", "listed_by_name"), ("parent", "by_parent"), ("status", "by_status")):
        if column in filters:
            return f"INDEXED BY {index}"
    return ""


def _values(connection: sqlite3.Connection, kind: str, name: str) -> set[str]:
    wrong = connection.execute(
        "SELECT id FROM documents WHERE kind = ? AND listed = 1 "
        "AND CASE WHEN json_valid(body) THEN json_type(body, ?) IS NOT 'array' ELSE 1 END LIMIT 1",
        (kind, f"$.{name}"),
    ).fetchone()
    if wrong is not None:
        raise UnreadableError(f"The record of {kind} {wrong[0]} does not say what its {name} are.")
    statement = "SELECT DISTINCT value FROM documents, json_each(body, ?) WHERE kind = ? AND listed = 1"
    return {value for (value,) in connection.execute(statement, (f"$.{name}", kind))}


def _statuses(connection: sqlite3.Connection, kind: str, ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), _STEP):
        some = ids[start : start + _STEP]
        statement = f"SELECT id, status FROM documents WHERE kind = ? AND id IN ({_marks(some)})"  # noqa: S608 -- ?
        found.update(connection.execute(statement, (kind, *some)))
    return found


def _page(connection: sqlite3.Connection, query: Query, unreadable: Collection[str]) -> Page:
    source, values = selection(query, unreadable)
    wanted, more = source, values
    if query.starting_after is not None:
        wanted += " AND position < ?"
        more = (*values, _position(connection, query.kind, query.starting_after))
    # One more than asked for tells whether there is a next page.
    statement = f"SELECT view {wanted} ORDER BY position DESC LIMIT ?"
    rows = connection.execute(statement, (*more, query.limit + 1)).fetchall()
    page = Page(tuple(view for (view,) in rows[: query.limit]), len(rows) > query.limit, None)
    if not query.count:
        return page
    if query.starting_after is None and not page.has_more:
        return replace(page, total_count=len(rows))  # a search that finds little has looked at everything by now
    statement, values = counting(query, unreadable)
    return replace(page, total_count=int(connection.execute(statement, values).fetchone()[0]))


def counting(query: Query, unreadable: Collection[str] = ()) -> tuple[str, tuple[object, ...]]:
    """The statement that counts what a query finds, and its values."""
    source, values = selection(query, unreadable)
    conditions = [condition for condition, _ in _conditions(query, unreadable)]
    if not _COUNTED.issuperset(conditions):
        return f"SELECT count(*) {source}", values
    return f"SELECT coalesce(sum(documents), 0) FROM counts WHERE {' AND '.join(conditions)}", values  # noqa: S608 -- constants


def selection(query: Query, unreadable: Collection[str] = ()) -> tuple[str, tuple[object, ...]]:
    """The FROM and WHERE clauses of a query, and their values."""
    conditions = list(_conditions(query, unreadable))
    where = " AND ".join(condition for condition, _ in conditions)
    return f"FROM documents {_list_index(query)} WHERE {where}", tuple(
        value for _, values in conditions for value in values
    )


def _conditions(query: Query, unreadable: Collection[str]) -> Iterator[tuple[str, tuple[object, ...]]]:
    yield "kind = ?", (query.kind,)
    yield from _column_conditions(query)
    yield from _content_conditions(query)
    if unreadable:
        yield f"id NOT IN ({_marks(unreadable)})", tuple(unreadable)


def _list_index(query: Query) -> str:
    """The index that has a list in order. Named explicitly, as SQLite's planner may choose one that needs a sort."""
    if query.id is not None:
        return ""
    if query.name is not None:
        return "INDEXED BY listed_by_name"
    if query.status is not None:
        return "INDEXED BY by_status"
    return "INDEXED BY listed" if query.parent is None else "INDEXED BY listed_by_parent"


def _column_conditions(query: Query) -> list[tuple[str, tuple[object, ...]]]:
    asked = {
        "id = ?": query.id,
        "status = ?": query.status,
        f"name = ? AND {_HAS_NAME}": query.name,
        "parent = ? AND parent <> ''": query.parent,
    }
    found: list[tuple[str, tuple[object, ...]]] = [
        (condition, (wanted,)) for condition, wanted in asked.items() if wanted is not None
    ]
    return found if query.status is not None else [("listed = 1", ()), *found]


def _content_conditions(query: Query) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The conditions that are checked for each document, or for its text in the index."""
    if query.search:
        yield f"instr({_SEARCHED}, ?)", (query.search.lower(),)
    if query.name_part:
        yield f"instr({_SEARCHED}, ?) AND instr(lower(name), ?)", (query.name_part.lower(),) * 2
    for name, wanted in query.fields.items():
        yield f"json_extract({_JSON}, ?) = ?", (f"$.{name}", wanted)
    for key, choice in query.metadata.items():
        yield (
            f"EXISTS (SELECT 1 FROM json_each({_JSON}, '$.metadata') WHERE key = ? AND value IN ({_marks(choice)}))",  # noqa: S608 -- constants and ?
            (key, *choice),
        )


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _position(connection: sqlite3.Connection, kind: str, document_id: str) -> int:
    found = connection.execute(_POSITION, (kind, document_id)).fetchone()
    if found is None:
        raise NotFoundError(f"No {kind} has the id {document_id!r} given as starting_after.")
    return int(found[0])
