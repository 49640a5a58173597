"""Runs untrusted SQL on the SQLite databases of axons, with limits on file access, time and memory."""

from __future__ import annotations

import asyncio
import base64
import math
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from .errors import ConflictError
from .storage.database import engine_error, result_code
from .storage.reserve import free_bytes

MAX_ROWS = 10_000
MAX_RESULT_BYTES = 4 << 20
MAX_DATABASE_BYTES = 256 << 20
MAX_SECONDS = 5.0
_PAGE_BYTES = 4096
_STEPS = 10_000  # of SQLite's virtual machine between two checks of the clock
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
_READ_ACTIONS = frozenset(
    {
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_PRAGMA,
    }
)
_MACHINE_ERRORS = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)
_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)


class Statement(msgspec.Struct, frozen=True):
    """One statement and the values of its placeholders."""

    sql: str
    params: Sequence[Any] = ()


class Result(msgspec.Struct, frozen=True):
    """The result of a statement."""

    columns: tuple[tuple[str, str], ...]
    """Names, and the type of the first value that is not NULL."""
    rows: tuple[tuple[Any, ...], ...]
    changes: int
    duration_ms: float
    cut: bool


class SqlError(Exception):
    """A statement failed; the text is a sentence for the user."""


Prepare = Callable[[int, Sequence[Result]], None]
"""Called on a thread before a change is committed, with the mark that it leaves in the database, and its results."""


class AxonSql:
    """Runs statements on the databases in one folder, on its own threads."""

    def __init__(self, folder: Path, seconds: float = MAX_SECONDS) -> None:
        self._folder = folder
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(2, "sql")

    async def batch(
        self, name: str, statements: Sequence[Statement], prepare: Prepare | None = None
    ) -> list[Result | SqlError]:
        """Run statements in one transaction; if one fails, its error is the last outcome, and all are rolled back."""
        file, loop = self._file(name), asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._batch, file, statements, prepare)

    async def mark(self, name: str) -> int:
        """The mark of the last change that was prepared and committed; 0 for none. Statements cannot alter it.

        Raises `EngineError` if the database cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, _mark, self._file(name))

    async def drop(self, name: str) -> None:
        """Delete a database."""
        for suffix in ("", "-journal"):
            await asyncio.to_thread(self._file(name).with_name(f"{name}.db{suffix}").unlink, missing_ok=True)

    async def aclose(self) -> None:
        """Stop the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def _batch(self, file: Path, statements: Sequence[Statement], prepare: Prepare | None) -> list[Result | SqlError]:
        try:
            return self._outcomes(file, statements, prepare)
        except sqlite3.Error as error:
            if result_code(error) == sqlite3.SQLITE_BUSY:
                raise ConflictError(f"The database of axon {file.stem} is in use: try again.") from error
            raise engine_error(error, file) from error

    def _outcomes(
        self, file: Path, statements: Sequence[Statement], prepare: Prepare | None
    ) -> list[Result | SqlError]:
        results: list[Result] = []
        before = (file.stat().st_size if file.exists() else 0), free_bytes(file.parent)
        with _open_limited(file, self._seconds) as (connection, guard):
            for statement in statements:
                try:
                    results.append(_run(connection, statement))
                except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, TypeError) as error:
                    guard.end()
                    if is_machine_error(result_code(error), *before):
                        raise
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    return [*results, SqlError(_sentence(error, guard.refused, self._seconds))]
            guard.end()
            if prepare is not None and guard.has_changed:
                _prepare(connection, prepare, results)
        return [*results]


class _StatementGuard:
    """The authorizer and time limit of a connection: refuses some operations, and interrupts slow statements."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self.refused: list[str] = []
        self.has_changed = False
        self._connection = connection
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        connection.set_authorizer(self._authorize)

    def end(self) -> None:
        """Remove the authorizer and the time limit."""
        self._connection.set_authorizer(None)
        self._connection.set_progress_handler(None, 0)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        what = _FORBIDDEN.get(action)
        if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _PRAGMAS:
            what = f"PRAGMA {first}"
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in ("load_extension", "fts3_tokenizer"):
            what = f"{second}()"
        if what is not None:
            self.refused.append(what)
            return sqlite3.SQLITE_DENY
        self.has_changed = self.has_changed or action not in _READ_ACTIONS
        return sqlite3.SQLITE_OK


def _prepare(connection: sqlite3.Connection, prepare: Prepare, results: Sequence[Result]) -> None:
    mark = secrets.randbelow((1 << 31) - 1) + 1  # user_version has 32 bits with a sign, and 0 means no mark
    prepare(mark, results)
    connection.execute(f"PRAGMA user_version = {mark}")


def _mark(file: Path) -> int:
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise engine_error(error, file) from error


@contextmanager
def _open_limited(file: Path, seconds: float) -> Iterator[tuple[sqlite3.Connection, _StatementGuard]]:
    """A connection with limits and an open transaction, which is committed at the end."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=seconds)
    try:
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        connection.execute(f"PRAGMA max_page_count = {MAX_DATABASE_BYTES // _PAGE_BYTES}")
        connection.execute("PRAGMA trusted_schema = OFF")  # the schema is as untrusted as the statements
        # Takes the write lock now, so that a batch waits here, and cannot fail half-way because another one writes.
        connection.execute("BEGIN IMMEDIATE")
        guard = _StatementGuard(connection, seconds)
        yield connection, guard
        guard.end()
        if connection.in_transaction:
            connection.execute("COMMIT")
    finally:
        connection.close()


def _run(connection: sqlite3.Connection, statement: Statement) -> Result:
    begin, before = time.perf_counter(), connection.total_changes
    cursor = connection.execute(statement.sql, [_checked_parameter(value) for value in statement.params])
    names = [column[0] for column in cursor.description or ()]
    rows, cut = _rows(cursor)
    cursor.close()
    kinds = [next((_kind(row[n]) for row in rows if row[n] is not None), "") for n in range(len(names))]
    shown = tuple(tuple(_json_value(value) for value in row) for row in rows)
    duration = round((time.perf_counter() - begin) * 1000, 3)
    columns = tuple(zip(names, kinds, strict=True))
    return Result(columns, shown, connection.total_changes - before, duration, cut)


def is_machine_error(code: int, size: int, free: int) -> bool:
    """True if an error was caused by the file or the machine, not by the statement.

    As the transaction is rolled back, a full disk is told from a full database by the sizes before it.
    """
    return code in _MACHINE_ERRORS or (code == sqlite3.SQLITE_FULL and size + free < MAX_DATABASE_BYTES)


def _rows(cursor: sqlite3.Cursor) -> tuple[list[tuple[Any, ...]], bool]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        size += sum(map(sys.getsizeof, row))
        if len(rows) == MAX_ROWS or size > MAX_RESULT_BYTES:
            return rows, True
        rows.append(row)
    return rows, False


def _checked_parameter(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a parameter must be a string, a number, true, false or null, not {type(value).__name__}")


def _kind(value: Any) -> str:
    return {int: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}[type(value)]


def _json_value(value: Any) -> Any:
    """A value for JSON: bytes in Base64, None for NaN and infinity."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sentence(error: Exception, refused: list[str], seconds: float) -> str:
    if refused:
        return f"Not allowed in an axon's database: {refused[-1]}."
    if "interrupted" in str(error):
        return f"The statement took longer than {seconds:g} seconds and was ended."
    if result_code(error) == sqlite3.SQLITE_FULL:
        return f"The statement failed: the database would be over {MAX_DATABASE_BYTES >> 20} MB, or the disk is full."
    return f"The statement failed: {error}."
