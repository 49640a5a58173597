"""Reads the members of a layer of an image from a tar archive that comes as a stream, by anyone.

Nearly all headers are plain, or follow an extended one that is; they are read here in a tenth and a third of the time
that `tarfile` takes, which reads all others. What a header can make this process allocate is limited.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from tarfile import BLOCKSIZE
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHUNK = 1 << 20
_HEADER_BYTES = 1 << 20
"""The limit for all headers of one member, as they are read into memory."""
_MAX_GLOBAL_HEADERS = 100
_MAX_PATH = 4095
_LATEST = 1 << 33
_XATTR = "SCHILY.xattr."
_RECORDS = frozenset({b"path", b"linkpath", b"size", b"uid", b"gid", b"uname", b"gname", b"mtime", b"atime", b"ctime"})
_LENGTH_DIGITS, _NUMBER_DIGITS = 10, 18
_END = bytes(BLOCKSIZE)
_ADLER_BASE = 65521
_BLANK_CHECKSUM = b" " * 8

Kind = Literal["file", "folder", "symbolic link", "hard link", "pipe", "device", "unknown"]
_KINDS: Mapping[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "pipe",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}
_INVALID = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError)
_NO_ATTRIBUTES: Mapping[str, bytes] = {}


class LayerError(Exception):
    """A layer cannot be unpacked; the text completes a sentence about it."""


class Member(NamedTuple):
    """One member of an archive."""

    path: bytes
    """Relative to the root, which is b""."""
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    """In ns."""
    link: bytes = b""
    """The target of a link, as it stands in the archive."""
    attributes: Mapping[str, bytes] = _NO_ATTRIBUTES
    """Extended attributes."""
    pieces: tuple[tuple[int, int], ...] | None = None
    """Offset and size of what a sparse file has."""


class Source(io.RawIOBase):
    """The uncompressed archive, which can only be read forwards; limits what is read as headers."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0
        self._unread = b""
        self.left = _HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read a part of a header, for `tarfile`."""
        if not 0 <= size <= self.left:
            raise LayerError("has a header that is too long")
        self.left -= size
        return self.content(size)

    def content(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end."""
        if self._unread:
            found, self._unread = self._unread[:size], self._unread[size:]
            found += self._stream.read(size - len(found))
        else:
            found = self._stream.read(size)
        self._position += len(found)
        return found

    def unread(self, block: bytes) -> None:
        """Take back what was read last."""
        self._unread = block + self._unread
        self._position -= len(block)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip to an offset."""
        if whence != io.SEEK_SET or offset < self._position:
            raise LayerError("is packed in a way that needs reading backwards")
        while self._position < offset and self.content(min(_CHUNK, offset - self._position)):
            pass
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position


def members(source: Source) -> Iterator[Member]:
    """Yield all members, each before its content, which may be read from the source. Raises LayerError."""
    reader: tarfile.TarFile | None = None
    while True:
        block = source.content(BLOCKSIZE)
        if block in (b"", _END):
            _skip_rest(source)
            return
        found = None
        if reader is None or not reader.pax_headers:  # those hold for all members that follow, which `tarfile` sees to
            found, block = _extended(source, block) if block[156:157] == tarfile.XHDTYPE else (_plain(block), block)
        if found is not None:
            after = source.tell() + (_padded(found.size) if found.kind == "file" else 0)
        else:
            source.unread(block)
            reader = reader or _reader(source)
            found, after = _read_by_tarfile(reader, source)
        yield found
        if source.seek(after) < after:
            raise LayerError(f"ends within {shown(found.path)}")


def _plain(block: bytes) -> Member | None:
    """The member of a header that stands alone, which most do; None for any other, or a wrong one."""
    kind = _KINDS.get(block[156:157])
    if kind is None or block[156:157] == tarfile.GNUTYPE_SPARSE:
        return None
    numbers = _numbers(block)
    if numbers is None:
        return None
    mode, uid, gid, size, mtime = numbers
    name = block[:100].partition(b"\0")[0]
    if block[345]:
        if block[262]:  # GNU tar has other fields there
            return None
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    if block[156:157] == tarfile.AREGTYPE and name.endswith(b"/"):  # as before there were types
        kind = "folder"
    link = block[157:257].partition(b"\0")[0]
    return Member(clean(name), kind, mode, uid, gid, size, max(mtime, 0) * 10**9, link)


def _numbers(block: bytes) -> tuple[int, int, int, int, int] | None:
    """Mode, owner, group, size and time of a header; None for one that is wrong, or has numbers beyond octal ones."""
    if block[257:262] != b"ustar":
        return None
    try:
        mode, uid, gid = (_octal(block[start : start + 8]) for start in (100, 108, 116))
        size, mtime, checksum = _octal(block[124:136]), _octal(block[136:148]), _octal(block[148:156])
    except ValueError:
        return None
    # Adler-32 has the sum of all bytes in it, and is computed in C.
    summed = zlib.adler32(block[:148] + _BLANK_CHECKSUM + block[156:]) & 0xFFFF
    return (mode, uid, gid, size, mtime) if summed == (checksum + 1) % _ADLER_BASE and size >= 0 else None


def _extended(source: Source, block: bytes) -> tuple[Member | None, bytes]:
    """The member of a plain header after this extended one (PAX); None for an unusual one. Also all that was read."""
    numbers = _numbers(block)
    if numbers is None or numbers[3] > _HEADER_BYTES:
        return None, block
    text = source.content(_padded(numbers[3]))
    records = _records(text[: numbers[3]])
    plain = source.content(BLOCKSIZE)
    member = None if records is None or len(plain) < BLOCKSIZE else _plain(plain)
    return None if member is None or records is None else _with(member, records), block + text + plain


def _records(text: bytes) -> dict[str, bytes] | None:
    """The records of an extended header; None if there are others than usual ones."""
    found: dict[str, bytes] = {}
    position = 0
    while position < len(text):
        length, space, _ = text[position : position + _LENGTH_DIGITS].partition(b" ")
        if not space or not length.isdigit():
            return None
        end = position + int(length)
        name, is_set, value = text[position + len(length) + 1 : end - 1].partition(b"=")
        if not is_set or not value or text[end - 1 : end] != b"\n":
            return None
        if name not in _RECORDS and not name.startswith(_XATTR.encode()):
            return None
        found[name.decode("utf-8", "surrogateescape")] = value
        position = end
    return found


def _with(member: Member, records: Mapping[str, bytes]) -> Member | None:
    """The member as these records describe it; None if they are wrong."""
    numbers = {name: records[name] for name in ("uid", "gid", "size") if name in records}
    if any(not text.isdigit() or len(text) > _NUMBER_DIGITS for text in numbers.values()):
        return None
    mtime = _time(records["mtime"]) if "mtime" in records else member.mtime
    if mtime is None:
        return None
    attributes = {name.removeprefix(_XATTR): value for name, value in records.items() if name.startswith(_XATTR)}
    return Member(
        clean(records["path"]) if "path" in records else member.path,
        member.kind,
        member.mode,
        int(numbers.get("uid", member.uid)),
        int(numbers.get("gid", member.gid)),
        int(numbers.get("size", member.size)),
        mtime,
        records.get("linkpath", member.link),
        attributes or _NO_ATTRIBUTES,
    )


def _time(text: bytes) -> int | None:
    """The time of a record in ns, 0 if it is too late; None if it is wrong, or before 1970."""
    seconds, _, fraction = text.partition(b".")
    if not (seconds + fraction).isdigit() or len(seconds) > _NUMBER_DIGITS:
        return None
    time = int(seconds or b"0") * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return time if time < _LATEST * 10**9 else 0


def _octal(field: bytes) -> int:
    return int(field.strip(b"\0 ") or b"0", 8)


def _reader(source: Source) -> tarfile.TarFile:
    """A `TarFile` that parses headers when it is asked to: for writing, as it would begin to read otherwise."""
    return tarfile.TarFile(fileobj=cast("IO[bytes]", source), mode="w", encoding="utf-8", errors="surrogateescape")


def _read_by_tarfile(reader: tarfile.TarFile, source: Source) -> tuple[Member, int]:
    """The next member and the offset of what follows it."""
    source.left = _HEADER_BYTES
    try:
        info = tarfile.TarInfo.fromtarfile(reader)
    except _INVALID as error:
        raise LayerError(f"is no tar archive that can be read: {error}") from error
    if len(reader.pax_headers) > _MAX_GLOBAL_HEADERS:
        raise LayerError("has too many general headers")
    path = clean(encoded(info.name))
    if info.size < 0:
        raise LayerError(f"has {shown(path)} with a size below zero")
    mtime = int(info.mtime * 10**9) if 0 <= info.mtime < _LATEST else 0
    kind = _KINDS.get(info.type, "unknown")
    pieces = tuple(cast("list[tuple[int, int]]", info.sparse)) if info.sparse else None
    attributes = {
        name.removeprefix(_XATTR): encoded(value) for name, value in info.pax_headers.items() if name.startswith(_XATTR)
    }
    found = Member(
        path, kind, info.mode, info.uid, info.gid, info.size, mtime, encoded(info.linkname), attributes, pieces
    )
    return found, reader.offset


def _skip_rest(source: Source) -> None:
    while source.content(_CHUNK):
        pass


def _padded(size: int) -> int:
    return -(-size // BLOCKSIZE) * BLOCKSIZE


def clean(name: bytes) -> bytes:
    """The path of a member, relative to the root; b"" is the root itself. Raises LayerError if it leads out."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise LayerError(f"has {shown(name)}, which leads out of it")
    path = b"/".join(parts)
    if b"\0" in path or len(path) > _MAX_PATH:
        raise LayerError(f"has a name that no file can have: {shown(path)}")
    return path


def encoded(text: str) -> bytes:
    """A name as the archive has it."""
    return text.encode("utf-8", "surrogateescape")


def shown(path: bytes) -> str:
    """A name in an error."""
    text = repr(path.decode("utf-8", "backslashreplace"))
    return text if len(text) <= 100 else f"{text[:100]}...'"
