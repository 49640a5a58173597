"""Reads tar archives whose members are copied into a disk, without ever unpacking them on this machine.

Archives are untrusted, as users upload them and builds create them, so all resources that they could use are bounded.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import select
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import IO, TYPE_CHECKING, Literal, cast

import msgspec

from ..build.patterns import Tree, clean

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

_CHUNK = 1 << 20
_HEADER_BYTES = 64 << 10
"""The limit for the headers of one member, as `tarfile` would read extended headers of any size into memory."""
_MAX_GLOBAL_HEADERS = 100
"""The limit for the number of global headers, which `tarfile` keeps and copies for each member."""
_TEXT_BYTES = 1 << 20
_XZ = b"\xfd7zXZ\0"
_XZ_MEMORY = 128 << 20
"""`xz -9` needs 65 MB; a file can ask for 4 GB."""
_INVALID_DATA_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, OverflowError, RecursionError)
"""The exceptions of `tarfile` and the decompressors for invalid data."""
Kind = Literal["file", "folder", "link", "other"]


class ArchiveLimits(msgspec.Struct, frozen=True):
    """The limits of an archive: bytes of its unpacked files, and number of members."""

    bytes: int
    members: int = 500_000


class FileAttributes(msgspec.Struct, frozen=True):
    """The owner and mode of copied files; `unpack` extracts archives among them."""

    uid: int = 0
    gid: int = 0
    mode: int | None = None
    unpack: bool = False


class CopyRequest(msgspec.Struct, frozen=True):
    """Files to copy into one folder."""

    targets: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Names of an archive's members by target path."""
    documents: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The contents of other files by target path."""
    attributes: FileAttributes = msgspec.field(default_factory=FileAttributes)


class Member(msgspec.Struct, frozen=True):
    """One file, folder or link of an archive."""

    name: str
    kind: Kind
    mode: int
    mtime: float
    uid: int
    gid: int
    link: str = ""
    """The target of a link."""
    offset: int = 0
    """The offset of a file's content in the uncompressed archive."""
    size: int = 0


class Archive:
    """One archive. Its methods block, so call them on a thread. Raises `ValueError` if it is invalid."""

    def __init__(self, tar: IO[bytes], scratch: Path, limits: ArchiveLimits) -> None:
        self._tar = tar
        self._scratch = scratch
        self._limits = limits
        try:
            self._members = _members(tar, limits)
        except BaseException:
            tar.close()
            raise

    @classmethod
    def open(cls, path: Path, scratch: Path, limits: ArchiveLimits) -> Archive:
        """Open an archive; a compressed one is decompressed to an anonymous file in the folder `scratch`."""
        with path.open("rb") as source:
            content = _decompressed(source)
            if content is not None:
                return cls(_copy_to_temporary_file(content, scratch, limits), scratch, limits)
        return cls(path.open("rb"), scratch, limits)

    def close(self) -> None:
        """Close its file."""
        self._tar.close()

    def tree(self) -> Tree:
        """The tree of its members."""
        members = self._members.values()
        links = {member.name: member.link for member in members if member.kind == "link"}
        return Tree({member.name: member.kind == "folder" for member in members}, links)

    def text(self, name: str) -> str:
        """The text of a member; empty if it is not a file."""
        member = self._members.get(name)
        if member is None or member.kind != "file":
            return ""
        if member.size > _TEXT_BYTES:
            raise ValueError(f"{name!r} has {member.size:,} bytes, more than {_TEXT_BYTES:,}")
        return b"".join(self._pieces(member)).decode("utf-8", "replace")

    def is_archive(self, name: str) -> bool:
        """True if a member is itself an archive."""
        return name in self._members and self._holds_tar(self._members[name])

    def digest(self, targets: Mapping[str, str]) -> str:
        """A hash of the files that would be copied."""
        # Times and owners do not count, so that a fresh checkout of the same files hits the cache.
        found = hashlib.sha256()
        for member, target in self._chosen(targets):
            about = f"{target}\0{member.kind}{member.mode}{member.link}\0{member.size}\0"
            found.update(about.encode("utf-8", "surrogateescape"))
            for piece in self._pieces(member):
                found.update(piece)
        return found.hexdigest()

    def send(self, request: CopyRequest, sink: IO[bytes]) -> None:
        """Write the parcel as a tar stream."""
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as out:
            for member, target in self._chosen(request.targets):
                if request.attributes.unpack and self._holds_tar(member):
                    self._put_archive(out, member)
                else:
                    self._put(out, member, target, request.attributes)
            send_documents(request, out)

    def _chosen(self, targets: Mapping[str, str]) -> Iterator[tuple[Member, str]]:
        for target, name in targets.items():
            yield self._members[name], target

    def _put(self, out: tarfile.TarFile, member: Member, target: str, attributes: FileAttributes) -> None:
        info = tarfile.TarInfo(target)
        info.mtime = member.mtime
        match member.kind:
            case "folder":
                info.type = tarfile.DIRTYPE
                out.addfile(_with_attributes(info, attributes, 0, member.mode, searchable=True))
            case "link":
                info.type, info.linkname = tarfile.SYMTYPE, member.link
                out.addfile(_with_attributes(info, attributes, 0, 0o777))
            case "file":
                out.addfile(_with_attributes(info, attributes, member.size, member.mode), self._content(member))
            case "other":
                raise ValueError(f"{member.name!r} is a device or pipe")

    def _put_archive(self, out: tarfile.TarFile, member: Member) -> None:
        """Write the members of an archive inside the archive, with their own owners."""
        content = self._content(member)
        tar = _copy_to_temporary_file(_decompressed(content) or content, self._scratch, self._limits)
        with closing(Archive(tar, self._scratch, self._limits)) as inner:
            for each in inner._members.values():
                inner._put(out, each, each.name, FileAttributes(each.uid, each.gid))

    def _holds_tar(self, member: Member) -> bool:
        if member.kind != "file":
            return False
        content = self._content(member)
        try:
            header = (_decompressed(content) or content).read(tarfile.BLOCKSIZE)
            tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except _INVALID_DATA_ERRORS:
            return False
        return True

    def _content(self, member: Member) -> io.BufferedReader:
        return io.BufferedReader(_Slice(self._tar, member.offset, member.size))

    def _pieces(self, member: Member) -> Iterator[bytes]:
        content = self._content(member)
        while piece := content.read(_CHUNK):
            yield piece


def save(source: int, over: int, file: Path, limits: ArchiveLimits) -> None:
    """Save the data from a pipe to a file, until its end, or until it is empty after the pipe `over` has ended.

    A stray process may keep the first pipe open for ever. Raises `ValueError` for too many bytes. Closes both
    descriptors.
    """
    try:
        os.set_blocking(source, False)
        poll, written, is_over = select.poll(), 0, False
        for pipe in (source, over):
            poll.register(pipe, select.POLLIN)
        with file.open("wb") as sink:
            while not is_over:
                is_over = over in dict(poll.poll())
                while (piece := _piece(source)) is not None:
                    if not piece:
                        return
                    written += len(piece)
                    _check(written, limits.bytes, "bytes")
                    sink.write(piece)
    finally:
        os.close(source)
        os.close(over)


def _piece(source: int) -> bytes | None:
    """Read from a non-blocking pipe: empty at its end, None if nothing is available."""
    try:
        return os.read(source, _CHUNK)
    except BlockingIOError:
        return None


def send_documents_only(request: CopyRequest, sink: IO[bytes]) -> None:
    """Write a parcel that contains documents only."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as out:
        send_documents(request, out)


def send_documents(request: CopyRequest, out: tarfile.TarFile) -> None:
    """Write the documents of a parcel."""
    for name, text in request.documents.items():
        data = text.encode()
        out.addfile(_with_attributes(tarfile.TarInfo(name), request.attributes, len(data), 0o644), io.BytesIO(data))


def _with_attributes(
    info: tarfile.TarInfo, attributes: FileAttributes, size: int, mode: int, *, searchable: bool = False
) -> tarfile.TarInfo:
    info.uid, info.gid, info.size = attributes.uid, attributes.gid, size
    info.mode = mode if attributes.mode is None else attributes.mode
    if searchable and attributes.mode is not None:
        info.mode |= (attributes.mode & 0o444) >> 2  # a readable folder must be searchable, too
    return info


def _decompressed(source: IO[bytes]) -> IO[bytes] | None:
    """A decompressing reader; None if the data is not compressed."""
    begin = cast("io.BufferedReader", source).peek(len(_XZ))
    if begin.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=source, mode="rb"))
    if begin.startswith(b"BZh"):
        return bz2.BZ2File(source)
    if begin.startswith(_XZ):
        return cast("IO[bytes]", io.BufferedReader(_Xz(source)))
    return None


def _copy_to_temporary_file(source: IO[bytes], scratch: Path, limits: ArchiveLimits) -> IO[bytes]:
    """Copy `source` to an anonymous file."""
    with ExitStack() as stack:
        target = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
        written = 0
        while piece := _read(source):
            written += len(piece)
            _check(written, limits.bytes, "bytes")
            target.write(piece)
        stack.pop_all()
    return target


def _read(source: IO[bytes]) -> bytes:
    with _converting_errors():
        return source.read(_CHUNK)


def _members(tar: IO[bytes], limits: ArchiveLimits) -> dict[str, Member]:
    """The members of an uncompressed archive by name; raises `ValueError` for a name that leads out of it.

    Of several members with one name the last counts, as when unpacking.
    """
    found: dict[str, Member] = {}
    by_name: dict[str, Member] = {}
    total = 0
    for number, info in enumerate(_headers(tar), 1):
        _check(number, limits.members, "members")
        member = _resolve_hard_link(info, by_name) if info.islnk() else _member(info)
        by_name[info.name] = member
        total += member.size
        _check(total, limits.bytes, "bytes")
        if member.name:  # "" is the archive's root folder
            found[member.name] = member
    return found


def _resolve_hard_link(info: tarfile.TarInfo, by_name: Mapping[str, Member]) -> Member:
    try:
        return msgspec.structs.replace(by_name[info.linkname], name=clean(info.name))
    except KeyError as error:
        raise ValueError(f"{info.name!r} is a link to nothing") from error


def _member(info: tarfile.TarInfo) -> Member:
    about = (info.mode, info.mtime, info.uid, info.gid)
    if info.isfile():
        return Member(clean(info.name), "file", *about, offset=info.offset_data, size=info.size)
    if info.issym():
        return Member(clean(info.name), "link", *about, link=info.linkname)
    return Member(clean(info.name), "folder" if info.isdir() else "other", *about)


def _headers(tar: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Iterate over the headers of an archive, checking that it contains each member completely."""
    size = tar.seek(0, io.SEEK_END)
    tar.seek(0)
    source = _Headers(tar)
    parsed: tarfile.TarFile | None = None
    while True:
        source.left = _HEADER_BYTES
        with _converting_errors():
            if parsed is None:
                # Opening it parses the first member already.
                parsed = tarfile.open(  # noqa: SIM115 -- has nothing to close but the source
                    fileobj=cast("IO[bytes]", source), mode="r:", encoding="utf-8", errors="surrogateescape"
                )
            info = parsed.next()
        if len(parsed.pax_headers) > _MAX_GLOBAL_HEADERS:
            raise ValueError("the archive cannot be read: it has too many general headers")
        if info is None:
            return
        parsed.members.clear()  # type: ignore[attr-defined]  # otherwise it keeps all
        if info.issparse():
            raise ValueError(f"{info.name!r} is packed as a sparse file: pack it without --sparse")
        if info.isfile() and not 0 <= info.size <= size - info.offset_data:
            raise ValueError(f"the archive ends within {info.name!r}")
        yield info


@contextmanager
def _converting_errors() -> Iterator[None]:
    try:
        yield
    except _INVALID_DATA_ERRORS as error:
        raise ValueError(f"the archive cannot be read: {error}") from error


def _check(number: int, most: int, what: str) -> None:
    if number > most:
        raise ValueError(f"the archive contains more than {most:,} {what}, which is more than a build may use")


class _Headers(io.RawIOBase):
    """A file that limits how much is read while a header is parsed."""

    left = 0

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        if not 0 <= size <= self.left:
            raise tarfile.ReadError("a header is too long")
        self.left -= size
        return self._source.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._source.tell()


class _Slice(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, source: IO[bytes], offset: int, size: int) -> None:
        self._source = source
        self._at = offset
        self._end = offset + size

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, target: Buffer, /) -> int:
        """Read into `target`."""
        view = memoryview(target).cast("B")
        self._source.seek(self._at)
        data = self._source.read(min(len(view), self._end - self._at))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Xz(io.RawIOBase):
    """An xz decompressor with a memory limit, which `lzma.LZMAFile` does not have."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decoder = self._fresh()

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, target: Buffer, /) -> int:
        """Read into `target`, at least one byte unless at the end."""
        view = memoryview(target).cast("B")
        while True:
            data = b"" if self._decoder.eof or not self._decoder.needs_input else self._source.read(_CHUNK)
            if self._decoder.eof:
                data = self._decoder.unused_data or self._source.read(_CHUNK)
                if not data.strip(b"\0"):  # padding, or the end
                    return 0
                self._decoder = self._fresh()
            elif self._decoder.needs_input and not data:
                raise EOFError("its compression ends early")
            if made := self._decoder.decompress(data, len(view)):
                view[: len(made)] = made
                return len(made)

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
