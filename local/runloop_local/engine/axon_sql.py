"""The SQLite database of an axon: statements of a stranger, kept from files, from each other's time and from memory."""

from __future__ import annotations

import asyncio
import base64
import math
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DiskFullError, InvalidError

MAX_ROWS = 10_000
MAX_RESULT_BYTES = 4 << 20
MAX_DATABASE_BYTES = 256 << 20
MAX_SECONDS = 5.0
_PAGE_BYTES = 4096
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_LIMITS = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LENGTH: 8 << 20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_FORBIDDEN = {
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_TRANSACTION: "BEGIN, COMMIT and ROLLBACK (a batch is one transaction)",
    sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT",
}
_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and the values of its placeholders."""

    sql: str
    params: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave."""

    columns: tuple[tuple[str, str], ...]
    """Names, and the kinds of value that the first row with one has."""
    rows: tuple[tuple[Any, ...], ...]
    changes: int
    duration_ms: float
    cut: bool


class SqlError(Exception):
    """A statement cannot be carried out: one sentence."""


class AxonSql:
    """Runs statements on the databases in one folder, on threads of its own."""

    def __init__(self, folder: Path, seconds: float = MAX_SECONDS) -> None:
        self._folder = folder
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(2, "sql")

    async def query(self, name: str, statement: Statement) -> Result:
        """Run one statement; `InvalidError` where it cannot be."""
        outcome = (await self.batch(name, [statement]))[0]
        if isinstance(outcome, SqlError):
            raise InvalidError(str(outcome))
        return outcome

    async def batch(self, name: str, statements: Sequence[Statement]) -> list[Result | SqlError]:
        """Run statements, all or none: the error of one is the last outcome, and nothing has changed."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._batch, self._folder / f"{name}.db", statements)
        except sqlite3.Error as error:
            raise DiskFullError(f"The database of axon {name} cannot be used: {error}.") from error

    async def drop(self, name: str) -> None:
        """Remove a database."""
        for suffix in ("", "-journal"):
            await asyncio.to_thread((self._folder / f"{name}.db{suffix}").unlink, missing_ok=True)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _batch(self, file: Path, statements: Sequence[Statement]) -> list[Result | SqlError]:
        outcomes: list[Result | SqlError] = []
        with _guarded(file, self._seconds) as (connection, refused):
            for statement in statements:
                try:
                    outcomes.append(_run(connection, statement))
                except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, TypeError) as error:
                    outcomes.append(SqlError(_sentence(error, refused, self._seconds)))
                    connection.set_authorizer(None)
                    connection.set_progress_handler(None, 0)
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    break
        return outcomes


@contextmanager
def _guarded(file: Path, seconds: float) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
    """A connection with a transaction under way, and the list of what it has refused."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=seconds)
    refused: list[str] = []
    try:
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        connection.execute(f"PRAGMA max_page_count = {MAX_DATABASE_BYTES // _PAGE_BYTES}")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN IMMEDIATE")
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.set_authorizer(_authorizer(refused))
        yield connection, refused
        connection.set_authorizer(None)
        if connection.in_transaction:
            connection.execute("COMMIT")
    finally:
        connection.close()


def _authorizer(refused: list[str]) -> Any:
    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        what = _FORBIDDEN.get(action)
        if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _PRAGMAS:
            what = f"PRAGMA {first}"
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ("load_extension", "fts3_tokenizer"):
            what = f"{second}()"
        if what is None:
            return sqlite3.SQLITE_OK
        refused.append(what)
        return sqlite3.SQLITE_DENY

    return authorize


def _run(connection: sqlite3.Connection, statement: Statement) -> Result:
    begin, before = time.perf_counter(), connection.total_changes
    cursor = connection.execute(statement.sql, [_bound(value) for value in statement.params])
    names = [column[0] for column in cursor.description or ()]
    rows, cut = _rows(cursor)
    cursor.close()
    kinds = [next((_kind(row[n]) for row in rows if row[n] is not None), "") for n in range(len(names))]
    shown = tuple(tuple(_shown(value) for value in row) for row in rows)
    duration = round((time.perf_counter() - begin) * 1000, 3)
    columns = tuple(zip(names, kinds, strict=True))
    return Result(columns, shown, connection.total_changes - before, duration, cut)


def _rows(cursor: sqlite3.Cursor) -> tuple[list[tuple[Any, ...]], bool]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        size += sum(map(sys.getsizeof, row))
        if len(rows) == MAX_ROWS or size > MAX_RESULT_BYTES:
            return rows, True
        rows.append(row)
    return rows, False


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a parameter must be a string, a number, true, false or null, not {type(value).__name__}")


def _kind(value: Any) -> str:
    return {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}[type(value)]


def _shown(value: Any) -> Any:
    """As JSON has it: bytes in Base64, and no number for what is none."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sentence(error: Exception, refused: list[str], seconds: float) -> str:
    if refused:
        return f"Not allowed in an axon's database: {refused[-1]}."
    if "interrupted" in str(error):
        return f"The statement took longer than {seconds:g} seconds and was ended."
    return f"The statement failed: {error}."
