"""The commands that this user's kernels started: after a restart they can be found again.

One line of JSON per command, in a file that only the user can read. It holds what was typed, without the values of
options and of {{expressions}}.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import state

if TYPE_CHECKING:
    from ..connection import Connection
    from ..resources.devboxes import DevboxInfo
    from ..state import StateFolder

_FILE = "executions.jsonl"
_MOST_BYTES = 256 * 1024
_MOST_ENTRIES = _MOST_BYTES // 1024  # of a file that became too long, and of what waits to be written
_TITLE = 120  # characters


class Entry(NamedTuple):
    """One command. `started` is in seconds since 1970; `service` tells whose ids these are (`Connection.service`)."""

    service: str
    devbox_id: str
    devbox: str
    execution_id: str
    title: str
    started: float
    kernel: int
    word: str = ""
    """`CommandRun.word`: without it nobody can tell a Python cell's output from what goes with it."""


class ExecutionHistory:
    """The file. What cannot be written to it is kept in memory, until it can."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._unwritten: list[Entry] = []

    @property
    def path(self) -> Path:
        """The path of the file. Raises OSError where there is no place for it."""
        return self._folder.path / _FILE

    def note(self, entry: Entry) -> None:
        """Note a command that was started."""
        self._unwritten = [*self._unwritten[-_MOST_ENTRIES:], entry]
        with self._folder.best_effort():
            self._add(self._folder.ensure() / _FILE, self._unwritten)
            self._unwritten = []

    def entries(self, connection: Connection) -> list[Entry]:
        """The commands on one service, newest first."""
        known = {entry.execution_id: entry for entry in [*self._read(), *self._unwritten]}
        return [entry for entry in reversed(known.values()) if entry.service == connection.service]

    def _add(self, path: Path, entries: Iterable[Entry]) -> None:
        # Each line begins with its newline, so that one that a full disk cut short does not spoil the next.
        lines = "".join("\n" + json.dumps(entry._asdict()) for entry in entries)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as execution_history:
            execution_history.write(lines)
            size = execution_history.tell()
        if size > _MOST_BYTES:
            self._shorten(path)

    def _read(self) -> list[Entry]:
        text = ""
        with self._folder.best_effort(), suppress(FileNotFoundError):
            text = state.read(self.path)
        return state.entries_of(Entry, map(_parsed, text.splitlines()))

    def _shorten(self, path: Path) -> None:
        newest = self._read()[-_MOST_ENTRIES:]
        state.replace(path, "".join("\n" + json.dumps(entry._asdict()) for entry in newest))


def _parsed(line: str) -> object:
    """Parse a line; None where it was cut short."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def entry(connection: Connection, devbox: DevboxInfo, execution_id: str, title: str, word: str = "") -> Entry:
    """Return the entry of a command that was started now."""
    now, kernel = time.time(), os.getpid()
    return Entry(connection.service, devbox.id, devbox.name, execution_id, title[:_TITLE], now, kernel, word)
