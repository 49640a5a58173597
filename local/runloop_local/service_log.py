"""The log file of the user's service, whose size is bounded."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 4_000_000


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic in typeshed only
    """Logs to stderr, which is redirected to `file`; drops the older half once that exceeds `max_bytes`."""

    def __init__(self, file: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(sys.stderr)
        self._file = file
        self._max_bytes = max_bytes
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        # In append mode, what anyone writes to this stderr goes to the new end after the file was truncated.
        flags = fcntl.fcntl(sys.stderr, fcntl.F_GETFL)
        fcntl.fcntl(sys.stderr, fcntl.F_SETFL, flags | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        super().emit(record)
        with suppress(FileNotFoundError):
            if self._file.stat().st_size > self._max_bytes:
                self._truncate()

    def _truncate(self) -> None:
        with self._file.open("r+b") as file:
            file.seek(-self._max_bytes // 2, os.SEEK_END)
            kept = file.read().partition(b"\n")[2]
            file.truncate(0)
            file.seek(0)
            file.write(b"(Older lines have been cut.)\n" + kept)


def keep_bounded(file: Path, max_bytes: int = MAX_BYTES) -> None:
    """Log to stderr, which is redirected to `file`, and bound the size of that."""
    logging.getLogger().addHandler(BoundedHandler(file, max_bytes))
