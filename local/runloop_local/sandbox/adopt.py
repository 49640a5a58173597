"""Gives folders that a layer of an image does not describe the owner and mode that they have in the layers below."""

from __future__ import annotations

import json
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from runloop_local.sandbox.layer_archive import encoded
from runloop_local.sandbox.unpack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable


def main(layers: str, as_owner: Callable[[], None], name: str, *below: str) -> None:
    """Give folders of a layer, whose names are on stdin as JSON, the owner and mode that they have in those below.

    `below` are names of layers, top first. A folder that none of them has is left as it is.
    """
    as_owner()
    for folder in json.loads(sys.stdin.buffer.read()):
        target = _open_folder(f"{layers}/{name}/{ROOT}", encoded(folder))
        for lower in below:
            source = _open_folder(f"{layers}/{lower}/{ROOT}", encoded(folder))
            if source is not None:
                if target is not None:
                    _copy_access(source, target)
                os.close(source)
                break
        if target is not None:
            os.close(target)


def _open_folder(root: str, path: bytes) -> int | None:
    """A descriptor of a folder in a layer; None if there is none, or a link on the way to it."""
    found = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split(b"/"):
        folder = found
        try:
            found = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        finally:
            os.close(folder)
    return found


def _copy_access(source: int, target: int) -> None:
    found = os.fstat(source)
    with suppress(PermissionError):  # without privileges there is one owner only
        os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
