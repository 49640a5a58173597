"""The commands that this user's kernels started: after a restart they can be found again.

One line of JSON per command, in a file that only the user can read. It holds what was typed, without the values of
options and of {{expressions}}.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..ledger import folder

if TYPE_CHECKING:
    from ..connection import Connection
    from ..devboxes import DevboxInfo

_MOST_BYTES = 256 * 1024
_TITLE = 120  # characters


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. `started` is in seconds since 1970; `service` tells whose ids these are."""

    service: str
    devbox_id: str
    devbox: str
    execution_id: str
    title: str
    started: float
    kernel: int


class Journal:
    """The file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._complained = False

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path or folder() / "executions.jsonl"

    def note(self, entry: Entry) -> str:
        """Note a command that was started; why that is impossible, the first time that it is."""
        try:
            self._add(entry)
        except OSError as error:
            told, self._complained = self._complained, True
            return "" if told else f"Commands cannot be found again after a restart of the kernel: {error}."
        return ""

    def _add(self, entry: Entry) -> None:
        line = json.dumps(asdict(entry)) + "\n"
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(file, "w") as journal:
            journal.write(line)
            size = journal.tell()
        if size > _MOST_BYTES:
            self._shorten()

    def entries(self, connection: Connection) -> list[Entry]:
        """The commands on one service, newest first. Raises OSError when the file cannot be read."""
        service = service_of(connection)
        return [entry for entry in reversed(list(self._read())) if entry.service == service]

    def _read(self) -> Iterator[Entry]:
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):  # cut short by a full disk, or from another version
                continue

    def _shorten(self) -> None:
        newest = list(self._read())[-_MOST_BYTES // 1024 :]
        rest = self.path.with_suffix(f".{os.getpid()}")
        rest.touch(0o600)
        rest.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in newest))
        rest.replace(self.path)


def entry(connection: Connection, devbox: DevboxInfo, execution_id: str, title: str) -> Entry:
    """What is noted of a command that was started now."""
    service = service_of(connection)
    return Entry(service, devbox.id, devbox.name, execution_id, title[:_TITLE], time.time(), os.getpid())


def service_of(connection: Connection) -> str:
    """What tells services apart: the embedded one is at another port after each start."""
    return "embedded" if connection.embedded else connection.base_url
