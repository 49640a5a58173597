"""What a build says: lines of JSON in a file, readable while it grows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Literal, Self

from .ids import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Level = Literal["info", "warn", "error"]
MAX_BYTES = 16 << 20
_MAX_LINE = 64 << 10


class BuildLog:
    """The log of one build under way, to be used in a `with` block."""

    def __init__(self, file: Path, secrets: Collection[str] = ()) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._secrets = [secret for secret in secrets if secret]
        self._size = 0
        self._partial = b""

    def write(self, message: str, level: Level = "info") -> None:
        """Add one line."""
        for secret in self._secrets:
            message = message.replace(secret, "***")
        line = {"level": level, "timestamp_ms": now_ms(), "message": message.encode("utf-8", "replace").decode()}
        os.write(self._file, f"{json.dumps(line, ensure_ascii=False)}\n".encode())

    def output(self, data: bytes) -> None:
        """Add what a program printed, line by line; too much of it is left out."""
        if self._size > MAX_BYTES:
            return
        self._size += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_LINE:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self.write(line.decode("utf-8", "replace").rstrip("\r"))
        if self._size > MAX_BYTES:
            self.write(f"Further output is left out, as there are over {MAX_BYTES:,} bytes of it.", "warn")

    def end_output(self) -> None:
        """A program has ended; its last line may have no end."""
        if self._partial:
            self.output(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        os.close(self._file)


def read_log(file: Path) -> str:
    """The lines so far, as the inside of a JSON list."""
    if not file.exists():
        return ""
    complete, _, _ = file.read_bytes().rpartition(b"\n")
    return ",".join(complete.decode().split("\n")) if complete else ""
