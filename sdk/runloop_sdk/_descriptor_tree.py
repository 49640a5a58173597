"""A `Tree` for POSIX: every path is walked from the folder's own descriptor, one name at a time, following no links."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ._tree import file_mode, temporary_name, translated_errors

assert sys.platform != "win32"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class DescriptorTree:
    """A folder in which everything is written relative to its descriptor."""

    def __init__(self, root: int, folder: Path) -> None:
        self._root = root
        self._folder = folder

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[DescriptorTree]:
        """Open a folder, which must exist."""
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield cls(root, folder)
        finally:
            os.close(root)

    def make_folder(self, name: str) -> None:
        """Create a folder and its parents, as far as they do not exist."""
        with self._parent(f"{name}/."):
            pass

    def write(self, name: str, pieces: Iterator[bytes], mode: int, modified: int) -> None:
        """Write a file; replaces a file or a link of this name, but never a folder."""
        with self._parent(name) as (parent, last), self._temporary_name(parent, name) as part:
            with os.fdopen(os.open(part, _NEW_FILE, 0o600, dir_fd=parent), "wb", buffering=0) as file:
                for piece in pieces:
                    _write_all(file.fileno(), piece)
                os.fchmod(file.fileno(), file_mode(mode))
                os.utime(file.fileno(), ns=(modified, modified))
            os.replace(part, last, src_dir_fd=parent, dst_dir_fd=parent)

    def link(self, name: str, target: str) -> None:
        """Create a symbolic link; replaces a file or a link."""
        with self._parent(name) as (parent, last), self._temporary_name(parent, name) as part:
            os.symlink(target, part, dir_fd=parent)
            os.replace(part, last, src_dir_fd=parent, dst_dir_fd=parent)

    def hard_link(self, source: str, name: str) -> None:
        """Create a hard link to a file that was written before."""
        with self._parent(source) as (source_parent, file), self._parent(name) as (parent, last):
            with self._temporary_name(parent, name) as part:
                os.link(file, part, src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)
                os.replace(part, last, src_dir_fd=parent, dst_dir_fd=parent)

    def set_mode(self, name: str, mode: int) -> None:
        """Set the permissions of a folder; its owner always has access."""
        with translated_errors(self._folder / name), self._parent(f"{name}/.") as (handle, _):
            os.fchmod(handle, file_mode(mode) | 0o700)

    @contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """The descriptor of a member's folder, created if necessary, and the member's name in it."""
        *above, last = name.split("/")
        handle = os.dup(self._root)
        try:
            with translated_errors(self._folder / name):
                for part in above:
                    inner = _opened(part, handle)
                    os.close(handle)
                    handle = inner
                yield handle, last
        finally:
            os.close(handle)

    @contextmanager
    def _temporary_name(self, parent: int, name: str) -> Iterator[str]:
        """A temporary name in the folder; whatever still has it in the end is removed."""
        part = temporary_name()
        try:
            with translated_errors(self._folder / name):
                yield part
        finally:
            with suppress(FileNotFoundError):  # it was put in place
                os.unlink(part, dir_fd=parent)


def _opened(name: str, parent: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
