"""Compares the listings of two folders and finds the changes that make one like the other. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text.quoting import printable

if TYPE_CHECKING:
    from runloop_sdk.folders import Entry, Listing

_COARSEST = 2_000_000_000
"""Nanoseconds to which the coarsest file systems round times, FAT's: within them a file's content decides."""

Ignored = Callable[[str, bool], bool]
"""Returns True for a path, of a folder or not, that is to be left alone."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes that make a target like its source."""

    send: tuple[str, ...] = ()
    """Files and links that travel."""
    unsure: tuple[str, ...] = ()
    """Files of the same size whose times are so near that their content decides."""
    folders: tuple[str, ...] = ()
    """Folders to make, or to give their permissions, parents first."""
    in_the_way: tuple[str, ...] = ()
    """Paths at which one side has a folder and the other something else, outermost only."""
    extra: tuple[str, ...] = ()
    """Paths that only the target has; folders too."""
    unchanged: int = 0
    """Files and links that are as they should be."""


def compare(source: Listing, target: Listing, *, mode: int = 0o777) -> Comparison:
    """Find what the target lacks or has in another state, and what it has beyond the source.

    Of permissions only the bits of `mode` count. What may lie where the source could not be listed is not beyond.
    """
    from runloop_sdk.folders import conflicts, is_below

    in_the_way = conflicts(source.entries, target.entries)
    found: dict[str, list[str]] = {"send": [], "unsure": [], "folders": [], "unchanged": []}
    for path, entry in source.entries.items():
        if entry.is_taken:
            found[_verdict(entry, target.entries.get(path), mode)].append(path)
    beyond = (path for path in target.entries if path not in source.entries and source.is_known(path))
    return Comparison(
        tuple(found["send"]),
        tuple(found["unsure"]),
        tuple(found["folders"]),
        tuple(in_the_way),
        tuple(path for path in beyond if not is_below(path, in_the_way)),
        sum(source.entries[path].kind != "folder" for path in found["unchanged"]),
    )


def _verdict(entry: Entry, other: Entry | None, mode: int) -> str:
    if other is not None and entry.kind == other.kind and not _differs(entry, other, mode):
        return "unsure" if entry.kind == "file" and entry.modified != other.modified else "unchanged"
    return "folders" if entry.kind == "folder" else "send"


def _differs(entry: Entry, other: Entry, mode: int) -> bool:
    if entry.kind == "link":
        return entry.target != other.target
    if entry.kind == "folder":
        return bool((entry.mode ^ other.mode) & mode & ~0o700)  # its owner keeps access to it
    size_or_mode = entry.size != other.size or bool((entry.mode ^ other.mode) & mode)
    return size_or_mode or abs(entry.modified - other.modified) >= _COARSEST


def settled(comparison: Comparison, source: Mapping[str, str], target: Mapping[str, str]) -> Comparison:
    """The comparison once the checksums of the files that were unsure are known, of those that can be read."""
    unlike = tuple(path for path in comparison.unsure if path not in source or source[path] != target.get(path))
    same = len(comparison.unsure) - len(unlike)
    return replace(comparison, send=comparison.send + unlike, unsure=(), unchanged=comparison.unchanged + same)


def doomed(extra: tuple[str, ...], target: Listing, ignored: Ignored) -> tuple[list[str], list[str]]:
    """Of what only the target has, the files and the folders to delete.

    What is ignored stays, and so do folders that have it, and those of which nobody knows what they have.
    """
    files, folders, kept = [], [], set(_unknown(target))
    for path in extra:
        entry = target.entries[path]
        if entry.kind == "other" or ignored(path, entry.kind == "folder"):
            kept.add(path)
        elif entry.kind == "folder":
            folders.append(path)
        else:
            files.append(path)
    kept |= {above for path in kept for above in _parents(path)}
    return files, [path for path in folders if path not in kept]


def _unknown(listing: Listing) -> Iterator[str]:
    return (path for path, entry in listing.entries.items() if entry.kind == "folder" and not entry.readable)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


@dataclass(frozen=True, slots=True)
class Sides:
    """The names of source and target in a sentence."""

    source: str
    target: str


def check_way(comparison: Comparison, source: Listing, target: Listing, sides: Sides, *, delete: bool) -> None:
    """Raise `UsageError` where something is in the way and `delete` does not allow to replace it."""
    paths = comparison.in_the_way
    if delete or not paths:
        return
    first, count = paths[0], len(paths) - 1
    kinds = source.entries[first].kind, target.entries[first].kind
    more = f"; {count:,} more are like it" if count else ""
    raise UsageError(
        f"{printable(first)!r} is a {kinds[0]} {sides.source} and a {kinds[1]} {sides.target}{more}. "
        "--delete replaces it."
    )


def check_content(path: str, content: Listing, ignored: Ignored, side: str) -> None:
    """Raise `UsageError` for a folder to be replaced that has what is to be left alone; paths are below it."""
    if not content.complete or any(_unknown(content)):
        raise UsageError(f"{printable(path)!r} {side} has folders that cannot be listed, so it is not replaced.")
    for below, entry in content.entries.items():
        if ignored(f"{path}/{below}", entry.kind == "folder"):
            raise UsageError(
                f"{printable(path)!r} {side} is not replaced: it has {printable(below)!r}, which git ignores. "
                "--no-ignore replaces it."
            )
