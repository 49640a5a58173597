"""Listings of local and remote folders in one form. The output of a devbox is untrusted and checked."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ._errors import ArchiveError
from ._extraction import Skipped, checked_name, checked_target
from ._file_times import bounded_time, nanoseconds
from ._tree import SkipError

Kind = Literal["file", "folder", "link", "other"]
_KINDS: dict[bytes, Kind] = {b"f": "file", b"d": "folder", b"l": "link"}
_LISTING_BYTES = 512 << 20
_DEPTH = 128
_SIZE = re.compile(rb"\d{1,18}")
_MODE = re.compile(rb"[0-7]{1,6}")
_FIELDS = 7

LIST_COMMAND = (
    f"find . -mindepth 1 -maxdepth {_DEPTH} -ignore_readdir_race "
    r"\( \( -type l -o -readable \( ! -type d -o -executable \) \) "
    r"-printf '%y\0%s\0%T@\0%m\0%l\0%P\0+\0' "
    r"-o -printf '%y\0%s\0%T@\0%m\0%l\0%P\0-\0' -type d -prune \)"
)
"""Prints each entry of the folder it runs in, for `parse_listing`; does not enter what cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a folder, a symbolic link with its target, or anything else; of a file its size in bytes.

    `modified` is in nanoseconds since 1970. `readable` is False if this account may not read it.
    """

    kind: Kind
    size: int = 0
    modified: int = 0
    mode: int = 0
    target: str = ""
    readable: bool = True

    @property
    def is_taken(self) -> bool:
        """True if a transfer includes it: a folder also if it cannot be listed, a file only if it can be read."""
        return self.kind in ("folder", "link") or (self.kind == "file" and self.readable)


@dataclass(slots=True)
class Listing:
    """The entries of a folder by path, parents first, and what is missing from them and why."""

    entries: dict[str, Entry] = field(default_factory=dict)
    left_out: list[Skipped] = field(default_factory=list)
    """Entries that cannot be transferred, such as pipes, and unreadable folders, whose content is unknown."""
    complete: bool = True
    """False if listing failed somewhere, so that any entry may be missing."""

    def is_known(self, path: str) -> bool:
        """True if a path that is absent from the listing is known not to exist."""
        if not self.complete:
            return False
        above = path
        while above := above.rpartition("/")[0]:
            entry = self.entries.get(above)
            if entry is not None and (entry.kind == "other" or not entry.readable):
                return False
        return True


def refused_link(path: str, entry: Entry) -> Skipped | None:
    """The reason to skip a symbolic link that leads out of the folder; None for any other entry."""
    if entry.kind == "link":
        try:
            checked_target(path, entry.target)
        except SkipError as skip:
            return Skipped(path, str(skip))
    return None


def conflicts(source: Mapping[str, Entry], target: Mapping[str, Entry]) -> list[str]:
    """Paths that are a folder on one side and something else on the other, outermost only."""
    found = {
        path
        for path, entry in source.items()
        if entry.is_taken and path in target and (entry.kind == "folder") != (target[path].kind == "folder")
    }
    return [path for path in source if path in found and not is_below(path, found)]


def is_below(path: str, folders: Collection[str]) -> bool:
    """True if a path lies below one of the folders."""
    above = path
    while above := above.rpartition("/")[0]:
        if above in folders:
            return True
    return False


def is_temporary(path: str) -> bool:
    """True if the path belongs to the temporary files of a transfer."""
    return any(part.startswith(".runloop-") and part.endswith(".part") for part in path.split("/"))


def list_folder(folder: Path, keep: Callable[[str, bool], bool] = lambda path, is_folder: True) -> Listing:
    """List what `keep(path, is_folder)` is true of in a local folder; it is asked for parents first. Blocking."""
    listing = Listing()
    if not _is_listed(folder):
        return Listing(complete=False)
    for path, entry in _walked(folder, "", keep):
        _add(listing, path, entry)
    return listing


def _walked(folder: Path, inside: str, keep: Callable[[str, bool], bool]) -> Iterator[tuple[str, Entry]]:
    with os.scandir(folder) as found:
        members = sorted(found, key=lambda each: each.name)
    for member in members:
        path = inside + member.name
        is_folder = member.is_dir(follow_symlinks=False)
        if is_temporary(member.name) or not keep(path, is_folder):
            continue
        try:
            entry = local_entry(Path(member.path))
        except FileNotFoundError:  # gone meanwhile
            continue
        yield path, entry
        if entry.kind == "folder" and entry.readable and not _is_deepest(path):
            yield from _walked(folder / member.name, f"{path}/", keep)


def local_entry(path: Path) -> Entry:
    """The entry at a local path, links not followed; raises `FileNotFoundError` or `NotADirectoryError`."""
    found = path.lstat()
    kind = _kind_of(found.st_mode)
    target = path.readlink().as_posix() if kind == "link" else ""
    readable = _is_listed(path) if kind == "folder" else kind != "file" or os.access(path, os.R_OK)
    return Entry(kind, found.st_size, bounded_time(found.st_mtime_ns), stat.S_IMODE(found.st_mode), target, readable)


def _kind_of(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def _is_listed(folder: Path) -> bool:
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return os.access(folder, os.X_OK)


def parse_listing(printed: str) -> Listing:
    """Parse the output of `LIST_COMMAND`, followed by the fields "end" and its exit code, in gzip and base64.

    Raises `ArchiveError` if it is malformed.
    """
    *fields, end, code, rest = [b"", b"", *unpacked(printed).split(b"\0")]
    if (end, rest) != (b"end", b"") or (len(fields) - 2) % _FIELDS:
        raise ArchiveError("The devbox's listing of the folder cannot be read.")
    listing = Listing(complete=code == b"0")
    for start in range(2, len(fields), _FIELDS):
        _add_parsed(listing, fields[start : start + _FIELDS])
    return listing


def unpacked(printed: str) -> bytes:
    """Decode bytes that a devbox printed in gzip and base64; raises `ArchiveError` if they are malformed."""
    try:
        unzip = zlib.decompressobj(31)
        data = unzip.decompress(base64.b64decode(printed), _LISTING_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise ArchiveError(f"What the devbox printed cannot be read: {error}.") from error
    if not unzip.eof:
        raise ArchiveError("What the devbox printed ends too early, or has no end.")
    return data


def _add_parsed(listing: Listing, fields: list[bytes]) -> None:
    kind, size, modified, mode, target, name, flag = fields
    path = os.fsdecode(name)
    if is_temporary(path):
        return
    changed = nanoseconds(modified.decode("ascii", "replace"))
    if not (_SIZE.fullmatch(size) and _MODE.fullmatch(mode)) or changed is None:
        raise ArchiveError(f"The devbox's listing says nonsense of {path[:200]!r}.")
    try:
        if checked_name(path, _DEPTH) != path or not path:
            raise SkipError("its name is no path")
    except SkipError as skip:
        listing.left_out.append(Skipped(path, str(skip)))
        return
    parent = path.rpartition("/")[0]
    above = listing.entries.get(parent) if parent else Entry("folder")
    if above is None or above.kind != "folder" or path in listing.entries:
        listing.left_out.append(Skipped(path, "the listing contradicts itself"))
        return
    permissions = int(mode, 8) & 0o7777
    entry = Entry(_KINDS.get(kind, "other"), int(size), changed, permissions, os.fsdecode(target), flag == b"+")
    _add(listing, path, entry)


def _skip_reason(path: str, entry: Entry) -> str:
    if entry.kind == "file":
        return "it cannot be read"
    if _is_deepest(path):
        return f"what it has lies more than {_DEPTH} folders deep"
    return "a folder that cannot be listed"


def _is_deepest(path: str) -> bool:
    return path.count("/") + 1 >= _DEPTH


def _add(listing: Listing, path: str, entry: Entry) -> None:
    if entry.kind == "folder" and _is_deepest(path):  # what it has is not looked at
        entry = replace(entry, readable=False)
    listing.entries[path] = entry
    if entry.kind == "other":
        listing.left_out.append(Skipped(path, "it is a device, a pipe or a socket"))
    elif not entry.readable:
        listing.left_out.append(Skipped(path, _skip_reason(path, entry)))
