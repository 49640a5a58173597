"""The logs of builds: files of JSON lines, readable while they grow."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

from ..devbox.pipes import write_all
from ..errors import PrunedError
from ..ids import now_ms
from ..storage.retention import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from ..storage.retention import Removal

Level = Literal["info", "warn", "error"]
MAX_BYTES = 16 << 20
_MAX_LINE = 64 << 10
_SHORTEST_REDACTED = 4
"""Shorter lines of a secret, such as a brace, are not redacted, as they reveal nothing."""


class BuildLog:
    """The log of a build in progress, to be used in a `with` block."""

    def __init__(self, file: Path, secrets: Collection[str] = ()) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._secrets = _redacted_words(secrets)
        self._words = [word.encode("utf-8", "surrogatepass") for word in self._secrets if "\n" not in word]
        self._longest = max(map(len, self._words), default=0)
        self._size = 0
        self._partial = b""

    def write(self, message: str, level: Level = "info") -> None:
        """Append one line."""
        write_all(self._file, self._line(message, level))

    def output(self, data: bytes) -> None:
        """Append a program's output, line by line, up to `MAX_BYTES`."""
        if self._size > MAX_BYTES:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_LINE + self._longest:
            lines += self._cut_long_line()
        kept = []
        for line in lines:
            kept.append(self._line(line.decode("utf-8", "replace").rstrip("\r"), "info"))
            self._size += len(kept[-1])  # the size in the log, where an empty line takes space, too
            if self._size > MAX_BYTES:
                kept.append(self._line(f"Further output is omitted: the log has {MAX_BYTES:,} bytes of it.", "warn"))
                break
        write_all(self._file, b"".join(kept))

    def _cut_long_line(self) -> list[bytes]:
        """The beginning of a line that is too long; its end stays buffered, as it may be the start of a secret."""
        for word in self._words:
            self._partial = self._partial.replace(word, b"***")
        cut = max(0, len(self._partial) - self._longest)
        begun, self._partial = self._partial[:cut], self._partial[cut:]
        return [begun] if begun else []

    def _line(self, message: str, level: Level) -> bytes:
        for secret in self._secrets:
            message = message.replace(secret, "***")
        line = {"level": level, "timestamp_ms": now_ms(), "message": message.encode("utf-8", "replace").decode()}
        return f"{json.dumps(line, ensure_ascii=False)}\n".encode()

    def end_output(self) -> None:
        """Append the last line of a program that has ended, if it has no line end."""
        if self._partial:
            self.output(b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()


def _redacted_words(secrets: Collection[str]) -> list[str]:
    """The words to redact, longest first: secrets, and the lines of secrets with several lines."""
    lines = {line for secret in secrets for line in secret.split("\n") if len(line.strip()) >= _SHORTEST_REDACTED}
    words = {*secrets, *map(str.strip, secrets), *map(str.strip, lines)} - {""}
    return sorted(words, key=len, reverse=True)


class BuildLogs:
    """The logs of all builds, one file each in `folder`; `Retention` limits them."""

    def __init__(self, folder: Path, grown: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._grown = grown
        self._ended: dict[str, Item] = {}
        self._total = 0

    def write(self, build_id: str, secrets: Collection[str] = ()) -> BuildLog:
        """Open the log of a build to append to it."""
        self._discard(build_id)
        return BuildLog(self._folder / build_id, secrets)

    def end(self, build_id: str) -> None:
        """Count the log of a build that has ended."""
        with suppress(FileNotFoundError):
            self._count(build_id, (self._folder / build_id).stat())
            self._grown()

    async def read(self, build_id: str) -> str:
        """The lines so far, as the elements of a JSON list. Raises `PrunedError` if the log was deleted."""
        try:
            data = await asyncio.to_thread((self._folder / build_id).read_bytes)
        except FileNotFoundError:
            raise PrunedError(
                f"The log of build {build_id} is no longer kept: see runloop-local status for the limits."
            ) from None
        complete, _, _ = data.rpartition(b"\n")
        return ",".join(complete.decode().split("\n")) if complete else ""

    async def load(self) -> None:
        """Count the logs of earlier builds, while none is in progress."""
        for name, found in (await asyncio.to_thread(_files, self._folder)).items():
            self._count(name, found)

    async def restore(self) -> None:
        """Do nothing: `load` has counted the logs."""

    def items(self) -> Collection[Item]:
        """The logs of builds that have ended."""
        return self._ended.values()

    def total(self) -> int:
        """The size of these logs."""
        return self._total

    async def remove(self, removal: Removal) -> int:
        """Delete a log; returns the bytes freed."""
        await asyncio.to_thread((self._folder / removal.item.id).unlink, missing_ok=True)
        return self._discard(removal.item.id)

    def _count(self, build_id: str, found: os.stat_result) -> None:
        self._discard(build_id)
        self._ended[build_id] = Item(build_id, int(found.st_mtime * 1000), {build_id: found.st_blocks * 512})
        self._total += found.st_blocks * 512

    def _discard(self, build_id: str) -> int:
        item = self._ended.pop(build_id, None)
        freed = 0 if item is None else item.parts[build_id]
        self._total -= freed
        return freed


def _files(folder: Path) -> dict[str, os.stat_result]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat() for entry in entries}
