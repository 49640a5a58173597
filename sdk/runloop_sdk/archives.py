"""Folders as gzipped tars, both ways. Blocking: call it in a thread."""

from __future__ import annotations

import errno
import io
import os
import stat
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
"""What `tarfile` calls a filter: gives the member, or None to leave it out; its changes count."""
SMALL = 8 << 20
"""Archives up to so many bytes stay in memory; larger ones go to a temporary file."""
_COMPRESSION = 3
_READ_BYTES = 1 << 20
_ATTEMPTS = 3  # at a file that becomes shorter while it is read
_TICK = 20_000_000  # nanoseconds; within one, two changes of a file may get the same time
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GONE = (FileNotFoundError, NotADirectoryError)


@dataclass(slots=True)
class Packed:
    """What an archive was made of."""

    paths: list[str] = field(default_factory=list)
    """The files and links that it has."""
    folders: dict[str, int] = field(default_factory=dict)
    """The folders that it has, parents first, with their permissions."""
    left_out: list[Skipped] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Files that changed while they were read; they are in the archive as they were then."""


def pack(folder: Path, archive: BinaryIO, ignore: TarFilter | None = None) -> None:
    """Write `folder`'s content to `archive` and rewind it; raises `LocalFileError` if it cannot be read, or not all.

    Pipes, sockets and devices are left out.
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
    """A gzipped tar that is being written, and rewound in the end."""

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
        """Add all that a folder has and `ignore` does not leave out, under `prefix`."""
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
        """Add a file that is only in memory."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))

    def add(
        self, folder: Path, paths: Iterable[str], prefix: str = "", members: Mapping[str, tarfile.TarInfo] | None = None
    ) -> Packed:
        """Add files, links and folders of `folder`, under `prefix`; what cannot be read is left out and told.

        `members` has the headers where there are some. Raises `OSError` only where the archive cannot be written.
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
        """Whether the file changed meanwhile."""
        with _opened(path) as file:
            _settle(file)
            before = _described(file, member)
            if before.st_size <= SMALL:
                content = _read(file, before.st_size)
                member.size = len(content)
                self._tar.addfile(member, io.BytesIO(content))
            else:
                self._add_large(file, member)
            after = os.fstat(file.fileno())
        return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)

    def _add_large(self, file: BinaryIO, member: tarfile.TarInfo) -> None:
        """Its length is said before it is read: where that became wrong it is added again, and the last one counts."""
        for _ in range(_ATTEMPTS):
            source = _Padded(file, member.size)
            self._tar.addfile(member, source)
            if source.error is not None:
                raise _UnreadableError(_reason(source.error)) from source.error
            if not source.missing:
                return
            file.seek(0)
            _described(file, member)
        raise _UnreadableError("it became shorter while it was read")


class _UnreadableError(Exception):
    """A file cannot be read."""


class _Padded:
    """A file as long as it was said to be."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self.missing = False
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, zeros where the file has no more."""
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
    """Up to `size` bytes, fewer only where the file ends."""
    found = bytearray()
    try:
        while len(found) < size and (piece := file.read(min(_READ_BYTES, size - len(found)))):
            found += piece
    except OSError as error:
        raise _UnreadableError(_reason(error)) from error
    return bytes(found)


def _settle(file: BinaryIO) -> None:
    """Wait until a change that is still to come would get another time than the last one."""
    age = time.time_ns() - os.fstat(file.fileno()).st_mtime_ns
    if 0 <= age < _TICK:
        time.sleep((_TICK - age) / 1e9)


def _described(file: BinaryIO, member: tarfile.TarInfo) -> os.stat_result:
    """Tell the member what the open file is."""
    found = os.fstat(file.fileno())
    member.size = found.st_size
    if "mtime" in member.pax_headers:  # a filter may have given it another
        _set_time(member, bounded_time(found.st_mtime_ns))
    return found


def _member(path: Path, name: str) -> tarfile.TarInfo:
    """A member without content; owners stay here. Raises `OSError`."""
    found = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(found.st_mode) & 0o777
    _set_time(member, time_of(path))
    if stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, member.mode | 0o700
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
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
    """Write `archive`'s members, or the `wanted` ones, into `folder`, which is made; what was left out, and why.

    Nothing is written outside of `folder`, whatever the archive says. Raises `ArchiveError`, `LocalFileError`.
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
