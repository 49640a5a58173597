"""A SQLite database of the service: one thread that runs work in order, migrations, and errors by their cause."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..errors import DiskFullError, EngineError, ExhaustedError, StorageError, of_machine
from .reserve import RELEASES
from .serial_thread import SerialThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .reserve import Reserve

T = TypeVar("T")

_PROBE_BYTES = 64 << 10
_MARGIN = 256 << 10
"""The most that a change adds to a file."""


class Database:
    """An open database. What `run` has written when it returns survives a kill of the service."""

    def __init__(
        self, file: Path, connection: sqlite3.Connection, thread: SerialThread, reserve: Reserve | None
    ) -> None:
        self._file = file
        self._connection = connection
        self._thread = thread
        self._reserve = reserve

    @classmethod
    def open(
        cls,
        file: Path,
        migrations: Sequence[str],
        reserve: Reserve | None = None,
        new: Callable[[], None] = lambda: None,
    ) -> Database:
        """Open the database in `file` and migrate it. Raises `EngineError`, and then has changed nothing.

        `new` is called before a missing file is created or an empty one is filled, and may raise to refuse that.
        """
        if not file.exists() or not file.stat().st_size:
            new()
        # One thread: SQLite would make writers wait for each other, and in one thread work is done in the order it
        # came.
        connection = _converting_errors(file, lambda: _connect(file, migrations, new))
        try:
            thread = SerialThread(file.name)
        except BaseException:
            connection.close()
            raise
        return cls(file, connection, thread, reserve)

    async def run(self, work: Callable[[sqlite3.Connection], T], *, urgent: bool = False) -> T:
        """Run `work` on the thread, in order. `urgent` work may use the reserve of a full disk."""
        return await self._thread.run(lambda: self._do(work, urgent))

    async def delete(self, statement: str, *values: object) -> int:
        """Run a DELETE, which may use the reserve of a full disk; returns the number of rows."""
        return await self.run(lambda connection: connection.execute(statement, values).rowcount, urgent=True)

    async def write_out(self) -> None:
        """Checkpoint and truncate the WAL, so that overwritten data is in no file any more."""
        await self.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())

    async def aclose(self) -> None:
        """Close the database."""
        await self.run(sqlite3.Connection.close)
        self._thread.close()

    def _do(self, work: Callable[[sqlite3.Connection], T], urgent: bool) -> T:
        try:
            return self._run_with_room(work, urgent)
        finally:
            # After whatever was done: a deletion may have made the room that the reserve needs.
            if self._reserve is not None:
                self._reserve.restore()

    def _run_with_room(self, work: Callable[[sqlite3.Connection], T], urgent: bool) -> T:
        released = [self._reserve.release] * RELEASES if urgent and self._reserve is not None else []
        # The cheapest first. Each way is tried once; the reserve is only for what makes room, or nobody could delete
        # anything.
        ways = iter([self._restart_log, *released])
        while True:
            try:
                return _converting_errors(self._file, lambda: work(self._connection))
            except DiskFullError:
                if not any(make_room() for make_room in ways):
                    raise

    def _restart_log(self) -> bool:
        """Checkpoint the WAL, so that it is reused from its beginning and need not grow."""
        try:
            busy, size, written = self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.Error:
            return False  # not enough space for that either
        return bool(not busy and size == written)


def _connect(file: Path, migrations: Sequence[str], new: Callable[[], None]) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        # With an exclusive lock it needs no shared-memory file, which could not be created on a full disk.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = _version(connection)
        if version > len(migrations):
            raise EngineError(
                f"{file} has version {version} and was written by a newer service; this one knows versions up to "
                f"{len(migrations)}. Update runloop-jupyter, or use another data folder."
            )
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            new()
        connection.execute("PRAGMA journal_mode = WAL")
        # With a WAL, NORMAL loses nothing when the service is killed; only a power failure may undo the last changes.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")  # not in the system's temporary folder, which may be full
        if version < len(migrations):  # migrations may delete secrets, of which nothing must stay in the file
            connection.execute("PRAGMA secure_delete = ON")
        _migrate(connection, migrations, version)
        if version < len(migrations):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str], version: int) -> None:
    """Run each missing step in a transaction of its own."""
    for number, step in enumerate(migrations[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the statements of the block in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _converting_errors(file: Path, work: Callable[[], T]) -> T:
    try:
        return work()
    except sqlite3.Error as error:
        raise engine_error(error, file) from error


def engine_error(error: sqlite3.Error, file: Path) -> EngineError:
    """The engine's error for an error of SQLite, with its cause."""
    code = result_code(error)
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL):
        return _with_cause(
            file, OSError(errno.ENOSPC, "") if code == sqlite3.SQLITE_FULL else _find_system_error(file), error
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(f"{file} is locked by another program: end that, then try again.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StorageError(f"{file} may not be written: check its owner and mode, and how its disk is mounted.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StorageError(
            f"{file} is damaged: {error}. Put back a copy of it, or move it away; `sqlite3 {file.name} .recover` may "
            "recover its contents."
        )
    if code == sqlite3.SQLITE_NOMEM:
        return ExhaustedError("This machine has no memory left for the service: end commands, then try again.")
    return EngineError(f"{file} cannot be used: {error}.")


def result_code(error: Exception) -> int:
    """SQLite's primary result code of an error; 0 for other errors."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _with_cause(file: Path, refusal: OSError | None, error: sqlite3.Error) -> EngineError:
    cause = None if refusal is None else of_machine(refusal)
    if cause is None:
        reason = error if refusal is None else refusal.strerror
        return StorageError(f"{file} cannot be used: {reason}. The system's log may say more.")
    return type(cause)(f"{file} cannot be used. {cause}")


def _find_system_error(file: Path) -> OSError | None:
    """Find the system's error behind SQLite's, which does not report it, by writing a file in the same way."""
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = [each.stat().st_size for each in (file, file.with_name(f"{file.name}-wal")) if each.exists()]
    # Asked first: the probe below is small, and would not meet a limit of the file's size.
    if largest != resource.RLIM_INFINITY and max(sizes, default=0) + _MARGIN > largest:
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    try:
        if file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
        with tempfile.TemporaryFile(dir=file.parent) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as refusal:
        return refusal
    return None
