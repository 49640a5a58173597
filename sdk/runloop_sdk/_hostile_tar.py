"""Reads a gzipped tar that a stranger made, within limits. Blocking: call it in a thread.

`tarfile` parses; what it would take on trust is bounded here: the bytes of a header (extended headers are read into
memory whole, however long they say they are), the bytes that come out of the compression, and the number of members.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ._errors import ArchiveError

_HEADER_BYTES = 32 << 10
"""A path and a link of 4,096 bytes each, several times over; old versions of `tarfile` take quadratic time for more."""
_GENERAL = 100
"""Of the headers that hold for all that follows, which `tarfile` keeps, and copies for each member."""
_READ_BYTES = 256 << 10
_MALFORMED = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, RecursionError)
"""What `tarfile` and `gzip` raise for bytes that are no archive: headers that follow headers nest, for example."""


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """What an archive may hold: bytes of its files, members, and folders within each other."""

    bytes: int = 256 << 30
    members: int = 2_000_000
    depth: int = 128


class HostileTar:
    """The members of an archive, one after the other; raises `ArchiveError` for what is no archive or passes limits."""

    def __init__(self, archive: BinaryIO, limits: ExtractionLimits) -> None:
        self._archive = archive
        self._limits = limits
        self._source: _Bounded | None = None
        self._tar: tarfile.TarFile | None = None

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Each member; its `pieces` must be read before the next is asked for."""
        count = total = 0
        with gzip.GzipFile(fileobj=self._archive, mode="rb") as unzipped:
            self._source = _Bounded(unzipped)
            while (member := self._next()) is not None:
                count, total = count + 1, total + max(0, member.size)
                if count > self._limits.members:
                    raise ArchiveError(f"The archive has more than {self._limits.members:,} members.")
                if total > self._limits.bytes:
                    raise ArchiveError(f"The files of the archive have more than {self._limits.bytes:,} bytes.")
                yield member

    def pieces(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of a file, `member.size` bytes in all."""
        assert self._tar is not None
        left = member.size
        with _readable():
            content = self._tar.extractfile(member) or io.BytesIO()
        while left:
            with _readable():
                piece = content.read(min(_READ_BYTES, left))
            if not piece:
                raise ArchiveError(f"The archive ends within {member.name!r}.")
            left -= len(piece)
            yield piece

    def _next(self) -> tarfile.TarInfo | None:
        assert self._source is not None
        with _readable(), self._source.header():
            if self._tar is None:
                # One member is parsed already when it is opened.
                self._tar = tarfile.open(  # noqa: SIM115 -- has nothing to close but the source
                    fileobj=self._source, mode="r:", encoding="utf-8", errors="surrogateescape"
                )
            member = self._tar.next()
            self._tar.members.clear()  # type: ignore[attr-defined]  # it keeps them all otherwise
        if len(self._tar.pax_headers) > _GENERAL:
            raise ArchiveError("The archive cannot be read: it has too many general headers.")
        if member is not None and member.size < 0:
            raise ArchiveError(f"The archive says that {member.name!r} has {member.size} bytes.")
        return member


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except _MALFORMED as error:
        raise ArchiveError(f"The archive cannot be read: {error}.") from error


class _Bounded(io.RawIOBase):
    """A readable file that gives only so many bytes while a header is parsed."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left: int | None = None

    @contextmanager
    def header(self) -> Iterator[None]:
        """While it is open, at most `_HEADER_BYTES` are read."""
        self._left = _HEADER_BYTES
        try:
            yield
        finally:
            self._left = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        if self._left is not None:
            if not 0 <= size <= self._left:
                raise tarfile.ReadError("a header is too long")
            self._left -= size
        return self._source.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on at another place."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._source.tell()

    def seekable(self) -> bool:
        """It is: forward in one pass, which is how an archive is read."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True
