"""Merges overlay layers, run as a separate program: `merge.py FOLDER TARGET TOP ... BOTTOM -- BELOW ...`.

The number of layers in a mount is limited. Layers never change, so a merged one hard-links their files and takes no
space for data. Prints nothing; an error is a traceback on stderr and the exit status.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path

_PREFIXES = ("trusted.overlay.", "user.overlay.")


def merge(layers: list[str], target: str, below: list[str]) -> None:
    """Merge the layers (folders, top first) into the new folder `target`.

    `below` are the folders under them: whiteouts that hide something there are kept. All others are removed, as they
    would show up as names without a file.
    """
    Path(target).mkdir(0o755)
    for layer in reversed(layers):  # bottom first, so that upper layers replace what they cover
        _add(layer, target)
    _prune(target, "", below)


def has_redirects(layer: str) -> bool:
    """True if the layer contains a renamed folder of a lower layer, whose contents there have another path."""
    return any(_is_redirected(folder) for folder, _, _ in os.walk(layer))


def groups(layers: list[str]) -> list[list[str]]:
    """Group the layers (top first) so that each group can be merged: only its lowest layer may have redirects."""
    found: list[list[str]] = [[]]
    for layer in layers:
        found[-1].append(layer)
        if has_redirects(layer):
            found.append([])
    return [group for group in found if group]


def _prune(folder: str, path: str, below: list[str]) -> None:
    """Remove whiteouts that hide nothing, as the folder is opaque or has no counterpart below."""
    needed = _overlay_attribute(folder, "opaque") is None and (_exists(path, below) or _is_redirected(folder))
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _prune(entry.path, f"{path}/{entry.name}", below if needed else [])
            elif not needed and _is_whiteout(entry.path):
                Path(entry.path).unlink()


def _exists(path: str, below: list[str]) -> bool:
    """True if one of the lower layers may have a folder at this path, by its own name or through a redirect."""
    for layer in below:
        if os.path.isdir(f"{layer}{path}"):  # noqa: PTH112 - False also where nothing may be read
            return True
        parents = [path[:index] for index, character in enumerate(path) if character == "/" and index]
        if any(_is_redirected(f"{layer}{parent}") for parent in parents if os.path.isdir(f"{layer}{parent}")):  # noqa: PTH112 - as above
            return True
    return False


def _is_redirected(folder: str) -> bool:
    return _overlay_attribute(folder, "redirect") is not None


def _is_whiteout(path: str) -> bool:
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        return _overlay_attribute(path, "whiteout") is not None
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _add(source: str, target: str) -> None:
    """Merge the contents of a layer's folder over those already in `target`."""
    with os.scandir(source) as entries:
        for entry in entries:
            below = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                _add_folder(entry.path, below)
            else:
                _remove(below)
                _link(entry.path, below)


def _add_folder(source: str, below: str) -> None:
    hidden = _overlay_attribute(source, "opaque") is not None
    if os.path.lexists(below) and (hidden or not _is_folder(below)):
        hidden = True  # what the replaced entry hid from lower layers stays hidden
        _remove(below)
    known = os.path.lexists(below)
    if not known:
        Path(below).mkdir(0o700)
    _add(source, below)
    _copy_attributes(source, below)
    if hidden and _overlay_attribute(below, "opaque") is None:
        os.setxattr(below, f"{_PREFIXES[os.getuid() != 0]}opaque", b"y")


def _is_folder(path: str) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _remove(path: str) -> None:
    if not os.path.lexists(path):
        return
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        _copy(source, target)


def _copy(source: str, target: str) -> None:
    """Copy a file that has as many hard links as the file system allows: usually a whiteout."""
    found = os.lstat(source)
    if stat.S_ISREG(found.st_mode):
        shutil.copyfile(source, target)
        _copy_attributes(source, target)
    else:
        os.mknod(target, found.st_mode, found.st_rdev)


def _copy_attributes(source: str, target: str) -> None:
    found = os.lstat(source)
    os.chown(target, found.st_uid, found.st_gid)
    Path(target).chmod(stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source):
        overlay = name.startswith(_PREFIXES)
        if not overlay or name.endswith((".opaque", ".redirect", ".whiteouts")):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _overlay_attribute(path: str, name: str) -> bytes | None:
    for prefix in _PREFIXES:
        try:
            return os.getxattr(path, f"{prefix}{name}")
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EPERM, errno.EOPNOTSUPP):
                raise
    return None


def main(folder: str, target: str, names: list[str], lowest: list[str]) -> None:
    """Merge layers of a folder into `TARGET.0`, `TARGET.1` and so on in it, top first.

    `lowest` are the layers below them, of which "." is this machine's own folders.
    """
    below = [name.removeprefix(".") and f"{folder}/{name}" for name in lowest]
    runs = groups([f"{folder}/{name}" for name in names])
    for number, run in reversed([*enumerate(runs)]):  # bottom first, as pruning needs to know what lies below
        unfinished = f"{folder}/{target}.{number}.new"
        _remove(unfinished)
        merge(run, unfinished, below)
        Path(unfinished).rename(f"{folder}/{target}.{number}")
        below = [f"{folder}/{target}.{number}", *below]


if __name__ == "__main__":
    dashes = sys.argv.index("--")
    main(sys.argv[1], sys.argv[2], sys.argv[3:dashes], sys.argv[dashes + 1 :])
