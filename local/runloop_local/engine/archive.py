"""Tar archives whose members go into a disk. They are read where they lie and never unpacked on this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from .patterns import clean

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Style:
    """How files are put down."""

    uid: int = 0
    gid: int = 0
    mode: int | None = None
    unpack: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files to put below one folder."""

    targets: Mapping[str, str] = field(default_factory=dict)
    """Members of an archive, and where each goes."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Further files, and what is in them."""
    style: Style = field(default_factory=Style)


class Archive:
    """One archive. Its calls block: use them in a thread. `ValueError` says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> dict[str, bool]:
        """Its members, and whether each is a folder; `ValueError` for a name that leads out of it."""
        with self._open() as tar:
            return {clean(member.name): member.isdir() for member in tar if clean(member.name)}

    def text(self, name: str) -> str:
        """What a member says; nothing where there is none."""
        with self._open() as tar:
            for member in tar:
                if clean(member.name) == name and member.isfile():
                    return _content(tar, member).read().decode("utf-8", "replace")
        return ""

    def is_archive(self, name: str) -> bool:
        """Whether a member is itself an archive."""
        with self._open() as tar:
            return any(_unpacked(tar, member) is not None for member in tar if clean(member.name) == name)

    def digest(self, targets: Mapping[str, str]) -> str:
        """A hash of what would be put down."""
        found = hashlib.sha256()
        with self._open() as tar:
            for member, target in _chosen(tar, targets):
                found.update(f"{target}\0{member.type!r}{member.mode}{member.linkname}\0{member.size}\0".encode())
                if member.isfile():
                    _feed(_content(tar, member), found.update)
        return found.hexdigest()

    def send(self, parcel: Parcel, sink: IO[bytes]) -> None:
        """Write the parcel as a tar stream."""
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as out:
            with self._open() as tar:
                for member, target in _chosen(tar, parcel.targets):
                    inner = _unpacked(tar, member) if parcel.style.unpack else None
                    if inner is None:
                        _put(out, tar, member, target, parcel.style)
                    else:
                        _put_all(out, inner)
            send_documents(parcel, out)

    def _open(self) -> tarfile.TarFile:
        try:
            return tarfile.open(self._path, "r:*")
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"the archive cannot be read: {error}") from error


def send_alone(parcel: Parcel, sink: IO[bytes]) -> None:
    """Write a parcel that holds documents only."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as out:
        send_documents(parcel, out)


def send_documents(parcel: Parcel, out: tarfile.TarFile) -> None:
    """Write the documents of a parcel."""
    for name, text in parcel.documents.items():
        data = text.encode()
        out.addfile(_styled(tarfile.TarInfo(name), parcel.style, len(data), 0o644), io.BytesIO(data))


def _chosen(tar: tarfile.TarFile, targets: Mapping[str, str]) -> Iterator[tuple[tarfile.TarInfo, str]]:
    for member in tar:
        target = targets.get(clean(member.name))
        if target:
            yield member, target


def _put(out: tarfile.TarFile, tar: tarfile.TarFile, member: tarfile.TarInfo, target: str, style: Style) -> None:
    info = tarfile.TarInfo(target)
    info.mtime = member.mtime
    if member.isdir():
        info.type = tarfile.DIRTYPE
        out.addfile(_styled(info, style, 0, member.mode, reach=True))
    elif member.issym():
        info.type, info.linkname = tarfile.SYMTYPE, member.linkname
        out.addfile(_styled(info, style, 0, 0o777))
    elif member.isfile() or member.islnk():
        content = _content(tar, member)
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        out.addfile(_styled(info, style, size, member.mode), content)
    else:
        raise ValueError(f"{member.name!r} is a device or pipe")


def _styled(info: tarfile.TarInfo, style: Style, size: int, mode: int, *, reach: bool = False) -> tarfile.TarInfo:
    info.uid, info.gid, info.size = style.uid, style.gid, size
    info.mode = mode if style.mode is None else style.mode
    if reach and style.mode is not None:
        info.mode |= (style.mode & 0o444) >> 2  # a folder that may be read may be entered
    return info


def _put_all(out: tarfile.TarFile, inner: tarfile.TarFile) -> None:
    """The members of an archive within the archive, with their own owners."""
    with inner:
        for member in inner:
            name = clean(member.name)
            if name:
                style = Style(member.uid, member.gid)
                _put(out, inner, member, name, style)


def _unpacked(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tarfile.TarFile | None:
    if not member.isfile():
        return None
    try:
        return tarfile.open(fileobj=_content(tar, member), mode="r:*")
    except (tarfile.TarError, EOFError):
        return None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    try:
        found = tar.extractfile(member)
    except KeyError as error:
        raise ValueError(f"{member.name!r} is a link to nothing") from error
    if found is None:
        raise ValueError(f"{member.name!r} is not a file")
    return found


def _feed(source: IO[bytes], take: Callable[[bytes], object]) -> None:
    while chunk := source.read(_CHUNK):
        take(chunk)
