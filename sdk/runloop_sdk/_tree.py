"""A folder into which files, folders and links of untrusted names are written, and from which no name leads out.

Names are relative, with "/" between their parts. A file is written under a temporary name and renamed, so it is there
completely or not at all. What concerns one name only raises `SkipError`, anything else, like a full disk,
`LocalFileError`.
"""

from __future__ import annotations

import errno
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ._errors import LocalFileError

_IN_THE_WAY = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_UNNAMEABLE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})


class SkipError(Exception):
    """A member cannot be extracted; the others can."""


class Tree(Protocol):
    """The folder, open."""

    def make_folder(self, name: str) -> None:
        """Create a folder and its parents, as far as they do not exist."""

    def write(self, name: str, pieces: Iterator[bytes], mode: int, modified: int) -> None:
        """Write a file; replaces a file or a link of this name, but never a folder."""

    def link(self, name: str, target: str) -> None:
        """Create a symbolic link; replaces a file or a link."""

    def hard_link(self, source: str, name: str) -> None:
        """Create a hard link to a file that was written before."""

    def set_mode(self, name: str, mode: int) -> None:
        """Set the permissions of a folder; its owner always has access."""


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise `SkipError` for errors that concern this path only, `LocalFileError` for others."""
    try:
        yield
    except LocalFileError:
        raise
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            raise in_the_way() from error
        if error.errno in _FORBIDDEN:
            raise SkipError("this account may not write it here") from error
        if error.errno in _UNNAMEABLE:
            raise SkipError("this machine cannot have such a name") from error
        raise LocalFileError(error.errno, error.strerror or str(error), str(path)) from error


def in_the_way() -> SkipError:
    """The error of a member whose place is taken by something else."""
    return SkipError("a folder, a file or a link of this name is in the way here")


def temporary_name() -> str:
    """The name of a file that is not complete yet."""
    return f".runloop-{secrets.token_hex(8)}.part"


def file_mode(mode: int) -> int:
    """A file's permissions without set-id bits; its owner may read and write it, and nobody else may write."""
    return (stat.S_IMODE(mode) & 0o755) | 0o600
