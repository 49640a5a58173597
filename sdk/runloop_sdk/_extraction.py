"""Extracts an untrusted archive into one folder, and nowhere else. Blocking.

Neither the archive nor the content of the folder can lead out of it: not by `..`, not by links within the archive, not
by links that existed before (`_tree.py`). Links are made last, and only those that stay inside. Set-id bits, owners and
devices are dropped.
"""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ParamSpec

from ._file_times import member_time
from ._hostile_tar import ExtractionLimits, HostileTar
from ._tree import SkipError, Tree

P = ParamSpec("P")

_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was left out, and the reason in a few words."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """The paths that were extracted, and those that were left out."""

    placed: frozenset[str]
    left_out: tuple[Skipped, ...]


Refusal = Callable[[str, int, int], str | None]
"""Called with the name, size and time in nanoseconds of a file: the reason to leave it out, or None."""


def extract(
    archive: BinaryIO,
    folder: Path,
    *,
    wanted: Collection[str] | None = None,
    limits: ExtractionLimits | None = None,
    refusal: Refusal | None = None,
) -> Extracted:
    """Extract a gzipped tar into `folder`, which must exist.

    `wanted` are the only paths to extract, `refusal` may leave out files. Raises `ArchiveError` if the archive is
    malformed or exceeds `limits`, and `LocalFileError` if this machine cannot write. Files that were extracted by then
    stay, each complete.
    """
    limits = limits or ExtractionLimits()
    tar = HostileTar(archive, limits)
    with open_tree(folder) as tree:
        return _Extraction(tree, tar, limits.depth, wanted, refusal).run()


def open_tree(folder: Path) -> AbstractContextManager[Tree]:
    """Open an existing folder, in the way that this system has."""
    if sys.platform == "win32":
        from ._path_tree import PathTree

        return PathTree.opened(folder)
    else:  # noqa: RET505 - mypy leaves out a block, but not what comes after `return`
        from ._descriptor_tree import DescriptorTree

        return DescriptorTree.opened(folder)


class _Extraction:
    """The extraction of one archive into one folder."""

    def __init__(
        self, tree: Tree, tar: HostileTar, depth: int, wanted: Collection[str] | None, refusal: Refusal | None
    ) -> None:
        self._tree = tree
        self._tar = tar
        self._depth = depth
        self._wanted = None if wanted is None else frozenset(wanted)
        self._refusal = refusal
        self._skipped: dict[str, Skipped] = {}
        self._placed: set[str] = set()
        self._links: dict[str, str] = {}
        self._modes: dict[str, int] = {}
        self._written: set[str] = set()

    def run(self) -> Extracted:
        for member in self._tar.members():
            self._attempt(member.name.removeprefix("./"), self._extract_member, member)
        for name, target in self._links.items():
            self._attempt(name, self._link, name, target)
        # The deepest first: a folder that takes no more entries must not keep its own from being set.
        for name, mode in sorted(self._modes.items(), reverse=True):
            self._attempt(name, self._tree.set_mode, name, mode)
        placed = (self._placed | self._written | self._modes.keys()) - self._skipped.keys()
        return Extracted(frozenset(placed), tuple(self._skipped.values()))

    def _attempt(self, name: str, action: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        try:
            action(*given, **named)
        except SkipError as skip:
            self._skipped[name] = Skipped(name, str(skip))

    def _extract_member(self, member: tarfile.TarInfo) -> None:
        name = checked_name(member.name, self._depth)
        if not name:
            return  # "./", the folder itself
        if self._wanted is not None and name not in self._wanted:
            raise SkipError("nobody asked for it")
        # The last member of a name counts, as with tar.
        self._links.pop(name, None)
        if member.isdir():
            self._tree.make_folder(name)
            self._modes[name] = member.mode
        elif member.issym():
            self._links[name] = checked_target(name, member.linkname)
        elif member.islnk():
            self._extract_hard_link(name, member)
        elif member.isreg():
            self._write(name, member)
        else:
            raise SkipError("it is a device or a pipe")

    def _write(self, name: str, member: tarfile.TarInfo) -> None:
        modified = member_time(member)
        reason = self._refusal(name, member.size, modified) if self._refusal else None
        if reason is not None:
            raise SkipError(reason)
        self._tree.write(name, self._tar.pieces(member), member.mode, modified)
        self._written.add(name)

    def _link(self, name: str, target: str) -> None:
        self._tree.link(name, target)
        self._placed.add(name)

    def _extract_hard_link(self, name: str, member: tarfile.TarInfo) -> None:
        source = checked_name(member.linkname, self._depth)
        if source not in self._written:  # any other file was here before, and may be linked from elsewhere
            raise SkipError(f"it is a hard link to {member.linkname!r}, which did not come before it")
        if source != name:
            self._tree.hard_link(source, name)
            self._written.add(name)


def checked_name(name: str, depth: int) -> str:
    """A member's path normalized, "" for the folder itself; raises `SkipError` for one that leads out of the folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise SkipError("it would be written outside of the folder")
    if len(parts) > depth:
        raise SkipError(f"it lies more than {depth} folders deep")
    if any(len(os.fsencode(part)) > _NAME_BYTES for part in parts):
        raise SkipError("its name is too long")
    return "/".join(parts)


def checked_target(name: str, target: str) -> str:
    """The target of a symbolic link; raises `SkipError` unless it certainly stays below the folder.

    `..` is accepted at the beginning only: after a name, which may be a link itself, it could lead anywhere.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if not target or target.startswith("/") or "\0" in target or up > name.count("/") or ".." in parts[up:]:
        raise SkipError(f"it is a link to {target!r}, outside of the folder")
    return target
