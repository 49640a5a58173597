"""Reads a gzipped tar from an untrusted source, within limits. Blocking: call it in a thread.

`tarfile` does the parsing. Bounded here is everything that it would trust: the size of a header (extended headers are
read into memory whole, however long they claim to be), the decompressed bytes, and the number of members.
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
"""Several times a path and a link of 4,096 bytes each; old versions of `tarfile` take quadratic time for more."""
_GLOBAL_HEADERS = 100
"""The most global headers that an archive may have: `tarfile` keeps them all, and copies them for each member."""
_READ_BYTES = 256 << 10
_MALFORMED = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, RecursionError)
"""Errors that `tarfile` and `gzip` raise for malformed archives; headers that follow headers make them recurse."""


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """The largest archive that is accepted: bytes of its files in all, members, and levels of folders."""

    bytes: int = 256 << 30
    members: int = 2_000_000
    depth: int = 128


class HostileTar:
    """The members of an archive in order; raises `ArchiveError` where it is malformed or exceeds the limits."""

    def __init__(self, archive: BinaryIO, limits: ExtractionLimits) -> None:
        self._archive = archive
        self._limits = limits
        self._source: _Bounded | None = None
        self._tar: tarfile.TarFile | None = None

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Each member; its `pieces` must be read before the next member is."""
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
        with _translate_errors():
            content = self._tar.extractfile(member) or io.BytesIO()
        while left:
            with _translate_errors():
                piece = content.read(min(_READ_BYTES, left))
            if not piece:
                raise ArchiveError(f"The archive ends within {member.name!r}.")
            left -= len(piece)
            yield piece

    def _next(self) -> tarfile.TarInfo | None:
        assert self._source is not None
        with _translate_errors(), self._source.header():
            if self._tar is None:
                # One member is parsed already when it is opened.
                self._tar = tarfile.open(  # noqa: SIM115 -- has nothing to close but the source
                    fileobj=self._source, mode="r:", encoding="utf-8", errors="surrogateescape"
                )
            member = self._tar.next()
            # `tarfile` keeps all members, and has no public way to forget them: millions would fill the memory.
            self._tar.members.clear()  # type: ignore[attr-defined]
        if len(self._tar.pax_headers) > _GLOBAL_HEADERS:
            raise ArchiveError("The archive cannot be read: it has too many general headers.")
        if member is not None and member.size < 0:
            raise ArchiveError(f"The archive says that {member.name!r} has {member.size} bytes.")
        return member


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _MALFORMED as error:
        raise ArchiveError(f"The archive cannot be read: {error}.") from error


class _Bounded(io.RawIOBase):
    """A readable file that limits the bytes that are read for one header."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left: int | None = None

    @contextmanager
    def header(self) -> Iterator[None]:
        """Limit what is read inside the `with` block to `_HEADER_BYTES`."""
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
        """Move to another position, forwards only."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """The current position."""
        return self._source.tell()

    def seekable(self) -> bool:
        """True: `tarfile` skips content by seeking forwards."""
        return True

    def readable(self) -> bool:
        """True."""
        return True
