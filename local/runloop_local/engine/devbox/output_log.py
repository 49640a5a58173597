"""The output of an execution: one file of bytes in the order they came, and one that says which stream they are of.

`output` holds stdout and stderr merged as they were read. `order` holds a fixed-size entry per *segment*, a run
of bytes of one stream, so a stream can be followed, and resumed at any byte, in constant memory.
"""

from __future__ import annotations

import codecs
import os
import struct
from typing import TYPE_CHECKING, Literal

import msgspec

from ..change_notifier import ChangeNotifier
from ..errors import PrunedError
from .pipes import close_all, write_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Stream = Literal["stdout", "stderr"]
FRAME_BYTES = 64 * 1024
TAIL_BYTES = 1024 * 1024
_ENTRY = struct.Struct("<QQQ")
_BLOCK = 4096
_NUMBERS: dict[Stream, int] = {"stdout": 0, "stderr": 1}


class Segment(msgspec.Struct, frozen=True):
    """A run of one stream's bytes within the merged output."""

    stream: Stream
    merged: int
    """Its first byte in the merged output."""
    start: int
    """Its first byte in its own stream."""
    other: int
    """The number of bytes of the other stream before it."""

    def before(self, stream: Stream) -> int:
        """The number of bytes of `stream` before it."""
        return self.start if stream == self.stream else self.other


class Frame(msgspec.Struct, frozen=True):
    """A piece of one stream, as a subscriber gets it."""

    text: str
    offset: int
    """The byte after it, in its stream."""
    span: tuple[int, int]
    """The bytes of the merged output that it covers; the frames of both streams tile the whole."""


class OutputLog:
    """An execution's output, growing or complete. Files come into being with the first byte."""

    def __init__(self, folder: Path, *, finished: bool = False, printed: tuple[int, int] | None = None) -> None:
        """`printed` are the bytes that each stream of a finished one had, should its files be gone."""
        self.folder = folder
        self.changed = ChangeNotifier()
        self.finished = finished
        self.sizes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self.segments = 0
        self._last: Segment | None = None
        self._files: tuple[int, int] | None = None
        if finished and not self._recover() and printed is not None:
            self.sizes = {"stdout": printed[0], "stderr": printed[1]}

    @property
    def total(self) -> int:
        """Bytes of both streams together."""
        return self.sizes["stdout"] + self.sizes["stderr"]

    @property
    def disk_bytes(self) -> int:
        """About the bytes that it takes on disk."""
        files = (self.total, self.segments * _ENTRY.size)
        return sum(-(-size // _BLOCK) * _BLOCK for size in files) + _BLOCK if self.segments else 0

    def append(self, stream: Stream, data: bytes) -> None:
        """Add what `stream` just printed and wake the subscribers. Raises `OSError` if the disk refuses."""
        output, order = self._files or self._create()
        if self._last is None or self._last.stream != stream:
            # The entry goes first: bytes without an entry would count to the other stream. One without bytes is dropped
            # by `_recover`.
            self._open_segment(order, stream)
        write_all(output, data)
        # Only once it is written, as readers read up to the sizes.
        self.sizes[stream] += len(data)
        self.changed.notify()

    def finish(self) -> None:
        """Close the log: no more output will come."""
        self.finished = True
        self._close()
        self.changed.notify()

    def segment(self, order: int, index: int) -> Segment:
        """The `index`-th segment, read through the descriptor of the `order` file."""
        if index == self.segments - 1 and self._last is not None:
            return self._last
        return _entry(os.pread(order, _ENTRY.size, index * _ENTRY.size))

    def open_files(self) -> tuple[int, int]:
        """Fresh descriptors of both files, for a reader to close. Raises `PrunedError` if they are gone."""
        return _both(self._opened)

    def _opened(self, name: str) -> int:
        try:
            return os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise PrunedError(
                f"What execution {self.folder.name} printed is no longer kept: see runloop-local status for the limits."
            ) from None

    def require(self) -> None:
        """Raise `PrunedError` where something was printed and is no longer kept."""
        if self.total:
            close_all(*self.open_files())

    def tail(self, stream: Stream, lines: int, limit: int = TAIL_BYTES) -> tuple[str, bool]:
        """The last `lines` lines of a stream (at most `limit` bytes), and True if something is missing."""
        size = self.sizes[stream]
        if not size or lines <= 0:
            return "", size > 0
        window = min(size, limit, 64 * 1024)
        while True:
            data = self._read(stream, size - window)
            cut = _line_start(data, lines)
            if cut or window >= min(size, limit):
                break
            window = min(size, limit, window * 4)
        kept = data[cut:] if cut or window == size else _from_character(data)
        return kept.decode("utf-8", "replace"), len(kept) < size

    def _read(self, stream: Stream, start: int) -> bytes:
        reader = Reader(self, stream, start)
        try:
            return b"".join(reader.pieces())
        finally:
            reader.close()

    def _create(self) -> tuple[int, int]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._files = _both(lambda name: os.open(self.folder / name, flags, 0o600))
        return self._files

    def _open_segment(self, order: int, stream: Stream) -> None:
        other: Stream = "stderr" if stream == "stdout" else "stdout"
        last = Segment(stream, self.total, self.sizes[stream], self.sizes[other])
        write_all(order, _ENTRY.pack(last.merged, last.before("stdout"), _NUMBERS[stream]))
        self._last = last
        self.segments += 1

    def _close(self) -> None:
        for file in self._files or ():
            os.close(file)
        self._files = None

    def _recover(self) -> bool:
        """Read the sizes from the files, if there are any; drops a segment that was announced and never written."""
        try:
            total = (self.folder / "output").stat().st_size
            order = os.open(self.folder / "order", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # none, or one of the two where a kill cut their removal off
            return False
        try:
            self.segments = os.fstat(order).st_size // _ENTRY.size  # the last entry may have been written in part
            while self.segments and (last := self.segment(order, self.segments - 1)).merged >= total:
                self.segments -= 1
        finally:
            os.close(order)
        if self.segments:
            self._last = last
            self.sizes[last.stream] = last.start + total - last.merged
            self.sizes["stderr" if last.stream == "stdout" else "stdout"] = last.other
        return True


class Reader:
    """Reads one stream of a log from a byte offset on, as frames. Close it."""

    def __init__(self, log: OutputLog, stream: Stream, offset: int = 0) -> None:
        self._log = log
        self._stream: Stream = stream
        self._offset = max(0, offset)
        self._output = self._order = -1  # no descriptors yet
        self._index = 0
        self._carry = b""
        self._end = 0

    def read(self) -> Frame | None:
        """The next frame; None when everything printed so far has been read."""
        if not self._opened():
            return None
        while (segment := self._segment()) is not None:
            if frame := self._frame(segment):
                return frame
            if self._index == self._log.segments - 1:
                break
            self._index += 1
        return self._last_word()

    def pieces(self) -> list[bytes]:
        """The raw bytes of everything from the offset on that is there now."""
        found: list[bytes] = []
        if not self._opened():
            return found
        while (segment := self._segment()) is not None:
            begin = segment.merged + self._offset - segment.start
            found.append(self._bytes(begin, self._segment_end()))
            self._offset += len(found[-1])
            self._index += 1
        return found

    def close(self) -> None:
        """Close the descriptors."""
        close_all(self._output, self._order)
        self._output = self._order = -1

    def _opened(self) -> bool:
        if self._order < 0 and self._log.total:
            self._output, self._order = self._log.open_files()
            self._index = self._find()
            self._carry = self._partial_character()
        return self._order >= 0

    def _find(self) -> int:
        """The last segment with no more than `offset` bytes of the stream before it."""
        low, high = 0, self._log.segments - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._log.segment(self._order, middle).before(self._stream) <= self._offset:
                low = middle
            else:
                high = middle - 1
        return low

    def _segment(self) -> Segment | None:
        """The stream's own segment at or after the current place."""
        while self._index < self._log.segments:
            segment = self._log.segment(self._order, self._index)
            if segment.stream == self._stream:
                return segment
            self._index += 1
        return None

    def _segment_end(self) -> int:
        if self._index == self._log.segments - 1:
            return self._log.total
        return self._log.segment(self._order, self._index + 1).merged

    def _frame(self, segment: Segment) -> Frame | None:
        begin = segment.merged + self._offset - segment.start
        segment_end = self._segment_end()
        end = min(segment_end, begin + FRAME_BYTES)
        if begin >= end:
            return None
        data = self._carry + self._bytes(begin, end)
        after = self._offset + end - begin
        # Half a character at the end may still be completed, unless nothing more can come.
        complete = self._log.finished and after == self._log.sizes[self._stream]
        text, used = codecs.utf_8_decode(data, "replace", complete)
        left = len(data) - used
        if end == segment_end and self._is_closed():
            # The other stream has come in between: the rest of the character is in the stream's next segment.
            self._carry = data[used:]
        elif used:
            end, after, self._carry = end - left, after - left, b""
        else:
            return None
        self._offset, self._end = after, end
        return Frame(text, after, (begin, end))

    def _is_closed(self) -> bool:
        return self._log.finished or self._index < self._log.segments - 1

    def _last_word(self) -> Frame | None:
        """A replacement for half a character at the end of a stream whose last segment the other stream followed."""
        if not (self._carry and self._log.finished):
            return None
        self._carry = b""
        return Frame("\ufffd", self._offset, (self._end, self._end))

    def _partial_character(self) -> bytes:
        """The first bytes of a character in which a resumed stream had stopped."""
        size = self._log.sizes[self._stream]
        if not self._offset or self._offset >= size:
            return b""
        # A character has up to four bytes: of those before the offset, three can be its beginning.
        back = Reader(self._log, self._stream, max(0, self._offset - 3))
        back._output, back._order = self._output, self._order
        back._index = back._find()
        data = back._exactly(self._offset - back._offset)
        while data and data[0] & 0xC0 == 0x80:
            data = data[1:]
        return data[codecs.utf_8_decode(data, "replace", False)[1] :]

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (segment := self._segment()) is not None:
            begin = segment.merged + self._offset - segment.start
            piece = self._bytes(begin, min(self._segment_end(), begin + count - len(found)))
            found += piece
            self._offset += len(piece)
            self._index += 1
        return found

    def _bytes(self, begin: int, end: int) -> bytes:
        return os.pread(self._output, end - begin, begin)


def _both(opened: Callable[[str], int]) -> tuple[int, int]:
    """The descriptors of both files, or of none."""
    output = opened("output")
    try:
        return output, opened("order")
    except BaseException:
        os.close(output)
        raise


def _entry(data: bytes) -> Segment:
    merged, stdout, number = _ENTRY.unpack(data)
    if number == _NUMBERS["stdout"]:
        return Segment("stdout", merged, stdout, merged - stdout)
    return Segment("stderr", merged, merged - stdout, stdout)


def _line_start(data: bytes, lines: int) -> int:
    """The index of the last `lines` lines; 0 if there are not that many.

    Found by halving and counting, as there may be millions of lines.
    """
    low, high = 0, len(data) - 1 if data.endswith(b"\n") else len(data)
    if data.count(b"\n", 0, high) < lines:
        return 0
    after = 0  # so many line ends from `high` on
    while high - low > 1:
        middle = (low + high) // 2
        found = data.count(b"\n", middle, high)
        if after + found >= lines:
            low = middle
        else:
            high, after = middle, after + found
    return low + 1


def _from_character(data: bytes) -> bytes:
    """`data` without the end of a character that began before it."""
    skip = next((place for place in range(min(4, len(data))) if data[place] & 0xC0 != 0x80), 0)
    return data[skip:]
