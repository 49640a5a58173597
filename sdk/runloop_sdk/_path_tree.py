"""A `Tree` for Windows, which cannot open a file relative to a folder's descriptor: each step is looked at instead.

A link or a junction on the way is refused. One that another program puts there between the look and the write is not
noticed, which is why this is not used elsewhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._tree import SkipError, file_mode, in_the_way, temporary_name, translated_errors
from .windows_names import windows_problem

_REPARSE_POINT = 0x400
_NO_PRIVILEGE = 1314


class PathTree:
    """A folder in which each part of a path is checked before it is used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[PathTree]:
        """Open a folder, which must exist."""
        os.scandir(folder).close()
        yield cls(folder)

    def make_folder(self, name: str) -> None:
        """Create a folder and its parents, as far as they do not exist."""
        with translated_errors(self._folder / name):
            self._made(name.split("/"))

    def write(self, name: str, pieces: Iterator[bytes], mode: int, modified: int) -> None:
        """Write a file; replaces a file or a link of this name, but never a folder."""
        with self._temporary(name) as (part, target):
            with part.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
            part.chmod(file_mode(mode))
            os.utime(part, ns=(modified, modified))
            _replace(part, target)

    def link(self, name: str, target: str) -> None:
        """Create a symbolic link; replaces a file or a link."""
        with self._temporary(name) as (part, place):
            try:
                part.symlink_to(Path(target), target_is_directory=(place.parent / target).is_dir())
            except OSError as error:
                if getattr(error, "winerror", 0) != _NO_PRIVILEGE:
                    raise
                raise SkipError("this account may not make links: turn on the Developer Mode of Windows") from error
            _replace(part, place)

    def hard_link(self, source: str, name: str) -> None:
        """Create a hard link to a file that was written before."""
        with translated_errors(self._folder / source):
            written = self._place(source)
        with self._temporary(name) as (part, target):
            os.link(written, part, follow_symlinks=False)
            _replace(part, target)

    def set_mode(self, name: str, mode: int) -> None:
        """Set the permissions of a folder; its owner always has access."""
        with translated_errors(self._folder / name):
            self._made(name.split("/")).chmod(file_mode(mode) | 0o700)

    @contextmanager
    def _temporary(self, name: str) -> Iterator[tuple[Path, Path]]:
        """A temporary file in a member's folder, and the member's place; the file is removed in the end."""
        with translated_errors(self._folder / name):
            place = self._place(name)
            part = place.with_name(temporary_name())
            try:
                yield part, place
            finally:
                part.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        """The path of a member, whose folder is created if necessary."""
        *above, last = name.split("/")
        _check(last)
        return self._made(above) / last

    def _made(self, parts: list[str]) -> Path:
        """The path of a folder that is created if necessary, and to which no link leads."""
        path = self._folder
        for part in parts:
            _check(part)
            path = path / part
            try:
                found = path.lstat()
            except FileNotFoundError:
                path.mkdir()
            else:
                if not stat.S_ISDIR(found.st_mode) or getattr(found, "st_file_attributes", 0) & _REPARSE_POINT:
                    raise in_the_way()
        return path


def _check(name: str) -> None:
    problem = windows_problem(name)
    if problem is not None:
        raise SkipError(problem)


def _replace(part: Path, target: Path) -> None:
    """Put a file in its place. Windows says "denied" of a folder that is in the way."""
    if target.is_dir() and not target.is_symlink():
        raise in_the_way()
    part.replace(target)
