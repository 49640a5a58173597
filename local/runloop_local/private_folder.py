"""Creates and checks folders that only the user may change, because their contents are trusted.

Imports little, and from the standard library only, because the notebook extension imports this on every load.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_LINKS = 40
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_IGNORED_NAMES = ("lost+found",)
"""Present in a folder that is the root of its own file system."""


def make(folder: Path, own: Collection[str] = ()) -> None:
    """Create the folder with its parents if it does not exist, then check it as `require` does."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    require(folder, own)


def require(folder: Path, own: Collection[str] = ()) -> None:
    """Raise `PermissionError` unless only this account and root can read, change or replace the folder.

    A folder of this account that is open to others is closed (chmod 700) if all names in it match the patterns `own`,
    so that it is clearly ours. A folder that does not exist passes. Other OSErrors are raised as they are. On Windows
    nothing is checked: a folder of a profile has an access list that keeps others out.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(_resolve_safely(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        _require_private(folder, descriptor, own)
    finally:
        os.close(descriptor)


def _require_private(folder: Path, descriptor: int, own: Collection[str]) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise _refusal(folder, f"it belongs to another account (uid {found.st_uid})")
    if not found.st_mode & _OTHERS:
        return
    mode = f"mode {stat.S_IMODE(found.st_mode):03o}"
    ours = (*own, *_IGNORED_NAMES)
    for name in sorted(os.listdir(descriptor)):
        if not any(fnmatchcase(name, pattern) for pattern in ours):
            raise _refusal(folder, f"other accounts may look into it ({mode}), and {name!r} in it is not ours")
    os.fchmod(descriptor, 0o700)
    if os.fstat(descriptor).st_mode & _OTHERS:
        raise _refusal(folder, f"other accounts may look into it ({mode}), and its file system keeps it so")
    if found.st_mode & _OTHERS_WRITE:
        try:
            _require_own_files(folder, descriptor)
        except PermissionError:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode))  # otherwise it would be trusted the next time
            raise


def _require_own_files(folder: Path, descriptor: int) -> None:
    """Raise PermissionError if another account owns a file in the folder, into which others could write."""
    for name in set(os.listdir(descriptor)).difference(_IGNORED_NAMES):
        owner = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid
        if owner != os.geteuid():
            raise _refusal(folder, f"another account (uid {owner}) has made {name!r} in it")


def _resolve_safely(folder: Path) -> str:
    """Resolve all links in the folder's path, checking that only this account and root can change each step."""
    left, current, links = [*folder.absolute().parts[1:]], "/", 0
    while left:
        _require_safe(current)
        name = left.pop(0)
        if name == "..":
            current = os.path.dirname(current)  # noqa: PTH120 -- a string, without links
            continue
        step = os.path.join(current, name)  # noqa: PTH118
        found = os.lstat(step)
        if not stat.S_ISLNK(found.st_mode):
            current = step
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        if not _is_trusted(found.st_uid):
            raise _refusal(folder, f"{step} leads elsewhere, and belongs to another account (uid {found.st_uid})")
        target = os.readlink(step)  # noqa: PTH115
        current = "/" if target.startswith("/") else current
        left = [*(part for part in target.split("/") if part not in ("", ".")), *left]
    return current


def _require_safe(parent: str) -> None:
    """Raise PermissionError if other accounts could replace the entries of a parent folder.

    Write access for its group is accepted, as homes often have it.
    """
    found = os.stat(parent)  # noqa: PTH116 -- a string
    if not _is_trusted(found.st_uid):
        raise _refusal(Path(parent), f"it belongs to another account (uid {found.st_uid})")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _refusal(Path(parent), f"any account may replace what is in it (mode {stat.S_IMODE(found.st_mode):03o})")


def _is_trusted(uid: int) -> bool:
    return uid in (0, os.geteuid()) or uid == _overflow_uid()


def _overflow_uid() -> int | None:
    """The uid that stands for all unmapped ones in a user namespace, such as root outside a container; else None."""
    try:
        if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except OSError:  # another system
        return None


def _refusal(folder: Path, reason: str) -> PermissionError:
    return PermissionError(errno.EACCES, reason, str(folder))
