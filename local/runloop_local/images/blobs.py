"""Decompresses layers and checks their digests, both of what came and of the archive in it, in one pass."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from runloop_local.images.errors import SourceError, WrongDigestError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from runloop_local.images.source import Blob

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = (b"\x2a\x4d\x18", 0x50)
_ZSTD_WINDOW = 128 << 20
"""What zstd itself takes without being told to; a frame can ask for gigabytes."""


@dataclass(frozen=True, slots=True)
class LayerContent:
    """The archive in a layer."""

    blob: Blob
    digest: str
    """Of the blob."""
    diff_id: str
    """Of the archive."""

    async def feed(self, target: int) -> None:
        """Write the archive to a descriptor; raises WrongDigestError at the end if it was not the right one.

        Also raises SourceError for data that cannot be decompressed, and BrokenPipeError if nobody reads on.
        """
        stop = threading.Event()
        working = asyncio.ensure_future(asyncio.to_thread(self._copy, target, stop))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            stop.set()  # the thread must be done with the descriptor before that is closed
            await asyncio.wait({working})
            raise

    def _copy(self, target: int, stop: threading.Event) -> None:
        archive = hashlib.sha256()
        with self.blob.path.open("rb") as file, _Hashed(file, self.blob) as source:
            try:
                layer = decompressed(source)
                while (piece := layer.read()) and not stop.is_set():
                    archive.update(piece)
                    _write(target, piece)
            except SourceError as error:
                source.check(self.digest)  # which says more, if that is the reason
                raise SourceError(f"its layer {self.digest} cannot be decompressed: {error}") from error
            if not stop.is_set():
                source.check(self.digest)
                _check(f"sha256:{archive.hexdigest()}", self.diff_id, f"the archive in its layer {self.digest}")


class _Hashed(io.RawIOBase):
    """A part of a file, of which it makes the digest as it is read."""

    def __init__(self, file: IO[bytes], blob: Blob) -> None:
        self._file = file
        self._left = blob.size
        self._hash = hashlib.sha256()
        file.seek(blob.offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        count = cast("io.BufferedReader", self._file).readinto(view[: min(len(view), self._left)])
        self._hash.update(view[:count])
        self._left -= count
        return count

    def check(self, digest: str) -> None:
        """Read the rest and raise WrongDigestError if this is not the digest of all."""
        rest = bytearray(_PIECE)
        while self.readinto(rest):
            pass
        _check(f"sha256:{self._hash.hexdigest()}", digest, "its layer")


def _check(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise WrongDigestError(f"{what} should be {wanted}, but what came is {found}")


@dataclass(frozen=True, slots=True)
class Decompressed:
    """The content of a stream, and the exceptions by which its reader says that it cannot be decompressed."""

    content: IO[bytes]
    errors: tuple[type[Exception], ...] = ()

    def read(self) -> bytes:
        """The next piece; empty at the end. Raises SourceError."""
        try:
            return self.content.read(_PIECE)
        except self.errors as error:
            raise SourceError(str(error) or type(error).__name__) from error


def decompressed(source: io.RawIOBase) -> Decompressed:
    """The content of a stream that is compressed by gzip or zstd, or not at all; told by its first bytes."""
    buffered = cast("IO[bytes]", io.BufferedReader(source, _PIECE))
    start = cast("io.BufferedReader", buffered).peek(4)[:4]
    if start.startswith(_GZIP):
        return _gunzipped(buffered)
    if start == _ZSTD or (start[1:] == _ZSTD_SKIPPABLE[0] and start[0] & 0xF0 == _ZSTD_SKIPPABLE[1]):
        return _zstd_decompressed(buffered)
    return Decompressed(buffered)


def _gunzipped(source: IO[bytes]) -> Decompressed:
    errors = (OSError, EOFError, zlib.error)
    try:
        from isal import igzip, isal_zlib  # twice as fast as the standard library's
    except ImportError:  # no wheel for this kind of machine
        import gzip

        return Decompressed(cast("IO[bytes]", gzip.GzipFile(fileobj=source, mode="rb")), errors)
    return Decompressed(
        cast("IO[bytes]", igzip.open(source, "rb")), (*errors, cast("type[Exception]", isal_zlib.error))
    )


def _zstd_decompressed(source: IO[bytes]) -> Decompressed:
    try:
        import zstandard
    except ImportError:
        raise SourceError("it is compressed by zstd, which needs the Python package zstandard") from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return Decompressed(
        cast("IO[bytes]", decompressor.stream_reader(source, read_across_frames=True)), (zstandard.ZstdError,)
    )


def _write(target: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(target, rest) :]
