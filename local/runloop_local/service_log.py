"""The log of the user's own service: what goes wrong in it, in a file that does not grow for ever."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 4_000_000


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic in typeshed only
    """Writes to stderr, which is `file`; of what is more than `most` bytes, the older half goes."""

    def __init__(self, file: Path, most: int = MOST_BYTES) -> None:
        super().__init__(sys.stderr)
        self._file = file
        self._most = most
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        # So that after a cut the next line comes at the new end; others who have this stderr, too.
        flags = fcntl.fcntl(sys.stderr, fcntl.F_GETFL)
        fcntl.fcntl(sys.stderr, fcntl.F_SETFL, flags | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        super().emit(record)
        with suppress(FileNotFoundError):
            if self._file.stat().st_size > self._most:
                self._cut()

    def _cut(self) -> None:
        with self._file.open("r+b") as file:
            file.seek(-self._most // 2, os.SEEK_END)
            kept = file.read().partition(b"\n")[2]
            file.truncate(0)
            file.seek(0)
            file.write(b"(Older lines have been cut.)\n" + kept)


def keep_bounded(file: Path, most: int = MOST_BYTES) -> None:
    """Log to stderr, which is `file`, from here on."""
    logging.getLogger().addHandler(BoundedHandler(file, most))
