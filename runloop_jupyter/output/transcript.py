"""The complete output of one command, however long it is."""

from __future__ import annotations

import asyncio
import threading
import weakref
from array import array
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path
    from tempfile import SpooledTemporaryFile

Stream = Literal["stdout", "stderr"]

_IN_MEMORY = 8 * 1024 * 1024
_PIECE = 1024 * 1024


class Transcript:
    """The output of a command: up to 8 MB in memory, beyond that in an unlinked temporary file.

    `len` counts characters. `append` raises OSError if the temporary directory is full.
    """

    def __init__(self, *, in_memory: int = _IN_MEMORY) -> None:
        import tempfile

        # One file for both streams, which keeps their order. A result may live as long as its notebook, and has no
        # `close`: the file is closed when the last reference to the result goes.
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115 - closed with this object
        weakref.finalize(self, _close, self._file)
        # The byte offset at which each run of one stream begins. The runs alternate, beginning with `_first`.
        self._starts = array("Q")
        self._first: Stream = "stdout"
        self._last: Stream | None = None
        self._bytes = 0
        self._characters = 0
        self.replaced = False
        """True if some bytes were not UTF-8, and � stands for them."""

    def append(self, stream: Stream, text: str) -> None:
        """Add text to the end of one of the two streams."""
        if not text:
            return
        if stream != self._last:
            self._begin(stream)
        self.replaced = self.replaced or "\ufffd" in text
        data = text.encode("utf-8", "surrogatepass")
        self._file.seek(0, 2)
        self._file.write(data)
        self._bytes += len(data)
        self._characters += len(text)

    @property
    def stdout(self) -> str:
        """The text that the command wrote to its standard output."""
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        """The text that the command wrote to its standard error."""
        return self._read("stderr")

    @property
    def output(self) -> str:
        """Both streams together, in the order in which they arrived."""
        self._file.seek(0)
        return _text(self._file.read())

    async def save(self, path: Path) -> None:
        """Write both streams together to a new file, as UTF-8. Raises OSError."""
        with await asyncio.to_thread(path.open, "xb") as file:
            position = 0
            while position < self._bytes:  # in pieces, because more may be appended meanwhile
                piece = self._slice(position, min(position + _PIECE, self._bytes))
                await asyncio.to_thread(file.write, piece)
                position += len(piece)

    def end(self, size: int = 4096) -> str:
        """The last `size` bytes of both streams together."""
        self._file.seek(max(self._bytes - size, 0))
        return self._file.read().decode("utf-8", "ignore")

    def __len__(self) -> int:
        return self._characters

    def __repr__(self) -> str:
        return f"<Transcript of {self._characters:,} characters>"

    def _begin(self, stream: Stream) -> None:
        if self._last is None:
            self._first = stream
        self._last = stream
        self._starts.append(self._bytes)

    def _read(self, stream: Stream) -> str:
        runs = list(pairwise([*self._starts, self._bytes]))[0 if stream == self._first else 1 :: 2]
        return _text(b"".join(self._slice(start, end) for start, end in runs))

    def _slice(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        return self._file.read(end - start)


def _close(file: SpooledTemporaryFile[bytes]) -> None:
    """Close the file; in a thread, if it is on a disk, which takes its time to free the room of twenty of them."""
    if isinstance(getattr(file, "_file", None), BytesIO):  # not asked for `fileno`: that would put it on the disk
        file.close()
        return
    try:
        threading.Thread(target=file.close).start()
    except RuntimeError:  # the interpreter ends, and starts none any more
        file.close()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
