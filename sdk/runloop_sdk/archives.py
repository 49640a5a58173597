"""Packs folders into gzipped tars and unpacks them. Blocking: call it in a thread."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tarfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ._errors import LocalFileError
from ._extraction import Skipped, extract
from ._file_times import bounded_time, time_of
from ._hostile_tar import ExtractionLimits
from ._local_files import local_file

TarFilter = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]
"""A filter as in `tarfile`: returns the member, changed perhaps, or None to leave it out."""
SMALL = 8 << 20
"""Archives up to this size stay in memory; larger ones go to a temporary file."""
_COMPRESSION = 3
_READ_BYTES = 1 << 20
_ATTEMPTS = 3  # to read a file that becomes shorter meanwhile
_TICK = 20_000_000  # nanoseconds; two changes of a file within one may get the same modification time
if sys.platform == "win32":
    _OPEN = os.O_RDONLY
    _MODES = 0o755  # every file is writable for everybody in what Windows says of it
else:
    # A name that became a link meanwhile is not followed, and a pipe does not hold up its reader.
    _OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    _MODES = 0o777
_GONE = (FileNotFoundError, NotADirectoryError)


@dataclass(slots=True)
class Packed:
    """The content of an archive, and what was left out of it."""

    paths: list[str] = field(default_factory=list)
    """Files and links in the archive."""
    folders: dict[str, int] = field(default_factory=dict)
    """Folders in the archive, parents first, with their permissions."""
    left_out: list[Skipped] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Files in the archive that changed while they were read."""


def pack(folder: Path, archive: BinaryIO, ignore: TarFilter | None = None) -> None:
    """Write the content of `folder` to `archive` and rewind it. Pipes, sockets and devices are left out.

    Raises `LocalFileError` if any file or folder in it cannot be read.
    """
    if not folder.is_dir():
        raise LocalFileError(errno.ENOTDIR, "no folder", str(folder))
    with local_file(), ArchiveWriter(archive) as writer:
        packed = writer.add_all(folder, ignore)
    for each in packed.left_out:
        path = folder / each.name
        if path.is_dir() or path.is_file():
            raise LocalFileError(errno.EACCES, each.reason, str(path))


class ArchiveWriter:
    """Writes a gzipped tar, and rewinds it at the end of the `with` block."""

    def __init__(self, archive: BinaryIO) -> None:
        self._archive = archive
        self._tar = tarfile.open(  # noqa: SIM115 -- closed by __exit__
            fileobj=archive,
            mode="w:gz",
            compresslevel=_COMPRESSION,
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()
        self._archive.seek(0)

    def add_all(self, folder: Path, ignore: TarFilter | None = None, prefix: str = "") -> Packed:
        """Add the content of a folder under `prefix`, except for what `ignore` leaves out."""
        from ._listing import list_folder

        members: dict[str, tarfile.TarInfo] = {}

        def keep(path: str, is_folder: bool) -> bool:
            try:
                member = _filtered(_member(folder / path, path), ignore)
            except _GONE:
                return False
            if member is not None:
                members[path] = member
                member.name = prefix + member.name
            return member is not None

        listing = list_folder(folder, keep)
        if not listing.complete:
            raise LocalFileError(errno.EACCES, "this account may not list it", str(folder))
        packed = self.add(folder, [path for path, entry in listing.entries.items() if entry.is_taken], members=members)
        packed.left_out = [*listing.left_out, *packed.left_out]
        return packed

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))

    def add(
        self, folder: Path, paths: Iterable[str], prefix: str = "", members: Mapping[str, tarfile.TarInfo] | None = None
    ) -> Packed:
        """Add files, links and folders of `folder` under `prefix`; unreadable ones are reported in `left_out`.

        `members` are their headers, if known. Raises `OSError` only if the archive cannot be written.
        """
        packed = Packed()
        for path in paths:
            try:
                member = members[path] if members else _member(folder / path, prefix + path)
                changed = self._add_member(folder / path, member)
            except _GONE:
                continue
            except _UnreadableError as error:
                packed.left_out.append(Skipped(path, str(error)))
                continue
            if member.isdir():
                packed.folders[path] = member.mode
            else:
                packed.paths.append(path)
            if changed:
                packed.changed.append(path)
        return packed

    def _add_member(self, path: Path, member: tarfile.TarInfo) -> bool:
        if member.isreg():
            return self._add_file(path, member)
        self._tar.addfile(member)
        return False

    def _add_file(self, path: Path, member: tarfile.TarInfo) -> bool:
        """Add a file; True if it changed while it was read."""
        with _opened(path) as file:
            _await_distinct_time(file)
            before = _update_from(file, member)
            if before.st_size <= SMALL:
                content = _read(file, before.st_size)
                member.size = len(content)
                self._tar.addfile(member, io.BytesIO(content))
            else:
                self._add_large(file, member)
            after = os.fstat(file.fileno())  # of the open file: the path may be another one by now
        return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)

    def _add_large(self, file: BinaryIO, member: tarfile.TarInfo) -> None:
        """Add a file after its header: if it becomes shorter meanwhile, it is added again, and the last one counts."""
        for _ in range(_ATTEMPTS):
            source = _PaddedFile(file, member.size)
            self._tar.addfile(member, source)
            if source.error is not None:
                raise _UnreadableError(_reason(source.error)) from source.error
            if not source.missing:
                return
            file.seek(0)
            _update_from(file, member)
        raise _UnreadableError("it became shorter while it was read")


class _UnreadableError(Exception):
    """A file cannot be read."""


class _PaddedFile:
    """A file padded with zeros to the size in its header: an archive cannot be corrected once that was written."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self.missing = False
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, zeros after the end of the file."""
        wanted = self._left if size < 0 else min(size, self._left)
        piece = b""
        if not self.missing:
            try:
                piece = _read(self._file, wanted)
            except _UnreadableError as error:
                self.error = error.__cause__ if isinstance(error.__cause__, OSError) else None
        self.missing = len(piece) < wanted
        self._left -= wanted
        return piece.ljust(wanted, b"\0")


def _opened(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, _OPEN), "rb", buffering=0)
    except _GONE:
        raise
    except OSError as error:
        raise _UnreadableError(_reason(error)) from error


def _reason(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or error}"


def _read(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end of the file."""
    found = bytearray()
    try:
        while len(found) < size and (piece := file.read(min(_READ_BYTES, size - len(found)))):
            found += piece
    except OSError as error:
        raise _UnreadableError(_reason(error)) from error
    return bytes(found)


def _await_distinct_time(file: BinaryIO) -> None:
    """Wait until any further change of the file would get a different modification time than the last one."""
    age = time.time_ns() - os.fstat(file.fileno()).st_mtime_ns
    if 0 <= age < _TICK:
        time.sleep((_TICK - age) / 1e9)


def _update_from(file: BinaryIO, member: tarfile.TarInfo) -> os.stat_result:
    """Set the size and time of a member to those of the open file."""
    found = os.fstat(file.fileno())
    member.size = found.st_size
    if "mtime" in member.pax_headers:  # a filter may have given it another
        _set_time(member, bounded_time(found.st_mtime_ns))
    return found


def _member(path: Path, name: str) -> tarfile.TarInfo:
    """The header of a member, without owners; raises `OSError`."""
    found = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(found.st_mode) & _MODES
    _set_time(member, time_of(path))
    if stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, member.mode | 0o700
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, path.readlink().as_posix()
    else:
        member.size = found.st_size
    return member


def _filtered(member: tarfile.TarInfo, ignore: TarFilter | None) -> tarfile.TarInfo | None:
    modified = member.mtime
    kept = member if ignore is None else ignore(member)
    if kept is not None and kept.mtime != modified:
        kept.pax_headers = {}
    return kept


def _set_time(member: tarfile.TarInfo, modified: int) -> None:
    member.mtime = modified // 1_000_000_000
    member.pax_headers = {"mtime": f"{member.mtime}.{modified % 1_000_000_000:09}"}


def unpack(
    archive: BinaryIO, folder: Path, *, wanted: Collection[str] | None = None, limits: ExtractionLimits | None = None
) -> tuple[Skipped, ...]:
    """Extract `archive`, or the `wanted` members, into `folder`, which is created; what was left out, and why.

    Nothing is written outside of `folder`, whatever is in the archive. Raises `ArchiveError` if it is malformed or
    exceeds `limits`, `LocalFileError` if this machine cannot write.
    """
    archive.seek(0)
    with local_file():
        folder.mkdir(parents=True, exist_ok=True)
        return extract(archive, folder, wanted=wanted, limits=limits).left_out


def gitignored(folder: Path) -> TarFilter:
    """A filter for `pack` that leaves out `.git` and what git ignores in `folder`, as `git ls-files -co` does."""
    from .gitignore import local_rules

    keep = local_rules(folder).read_below(folder)
    return lambda member: member if keep(member.name, member.isdir()) else None
