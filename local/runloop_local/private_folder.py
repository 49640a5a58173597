"""Folders that belong to the user alone: what lies in them is believed, so nobody else may have put it there.

Imports the standard library only, and little of it: the notebook extension imports this on every load.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST_LINKS = 40
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_ALSO_THERE = ("lost+found",)
"""What is in a folder that was given a disk of its own."""


def make(folder: Path, own: Collection[str] = ()) -> None:
    """Make the folder, and those above it, unless it is there; then as `require`."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    require(folder, own)


def require(folder: Path, own: Collection[str] = ()) -> None:
    """`PermissionError` unless only this account, and root, can read, change or replace the folder.

    A folder of this account that is merely open to others is closed where it is one of ours: where it holds nothing
    but names that `own` has patterns for. One that is not there is nobody's, and fine. Other errors of the system are
    raised as they are.
    """
    try:
        descriptor = os.open(_followed(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
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
    ours = (*own, *_ALSO_THERE)
    for name in sorted(os.listdir(descriptor)):
        if not any(fnmatchcase(name, pattern) for pattern in ours):
            raise _refusal(folder, f"other accounts may look into it ({mode}), and {name!r} in it is none of ours")
    os.fchmod(descriptor, 0o700)
    if os.fstat(descriptor).st_mode & _OTHERS:
        raise _refusal(folder, f"other accounts may look into it ({mode}), and its file system lets nobody change that")
    if found.st_mode & _OTHERS_WRITE:
        try:
            _require_own_files(folder, descriptor)
        except PermissionError:
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode))  # or it would be believed the next time
            raise


def _require_own_files(folder: Path, descriptor: int) -> None:
    """Others could write into the folder: what is in it must not be theirs."""
    for name in set(os.listdir(descriptor)).difference(_ALSO_THERE):
        owner = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid
        if owner != os.geteuid():
            raise _refusal(folder, f"another account (uid {owner}) has made {name!r} in it")


def _followed(folder: Path) -> str:
    """The folder's path without links, each step of which only this account and root can change."""
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
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        if not _is_trusted(found.st_uid):
            raise _refusal(folder, f"{step} leads elsewhere, and belongs to another account (uid {found.st_uid})")
        target = os.readlink(step)  # noqa: PTH115
        current = "/" if target.startswith("/") else current
        left = [*(part for part in target.split("/") if part not in ("", ".")), *left]
    return current


def _require_safe(parent: str) -> None:
    """Whoever can write into a folder can put another in the place of what is in it.

    That its group may write is left to the user, as homes are often like that.
    """
    found = os.stat(parent)  # noqa: PTH116 -- a string
    if not _is_trusted(found.st_uid):
        raise _refusal(Path(parent), f"it belongs to another account (uid {found.st_uid})")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _refusal(Path(parent), f"any account may replace what is in it (mode {stat.S_IMODE(found.st_mode):03o})")


def _is_trusted(uid: int) -> bool:
    return uid in (0, os.geteuid()) or uid == _unmapped()


def _unmapped() -> int | None:
    """The account that stands for all that a user namespace does not know, as root outside a container; if there is."""
    try:
        if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except OSError:  # another system
        return None


def _refusal(folder: Path, reason: str) -> PermissionError:
    return PermissionError(errno.EACCES, reason, str(folder))
