"""Runs a command in a mount namespace of its own, beside an odd mount: `python odd_mounts.py KIND COMMAND...`, as root.

Hanging and broken file systems are those of FUSE that nobody serves, or nobody any more.
"""

import os
import sys
from pathlib import Path

from runloop_local.sandbox import linux

FOLDER = "/srv"
NAMES = {
    "bytes that are no text": b"a\xff\xfeb",
    "a vertical tab": b"a\x0bb",
    "a line separator": "a\u2028b".encode(),
    "a new line": b"a\nb - c d",
    "spaces and backslashes": b"a b\\040\tc #",
    "a very long name": b"x" * 255,
}
KINDS = ("hanging", "broken", "unreadable", "vanished", "hanging file", *NAMES)


def fuse(target: str) -> int:
    """A mounted file system that answers nothing as long as the descriptor is open, and errors from then on."""
    mode = "40000" if Path(target).is_dir() else "100000"
    served = os.open("/dev/fuse", os.O_RDWR)
    linux.mount("odd", target, "fuse", 0, f"fd={served},rootmode={mode},user_id=0,group_id=0")
    return served


def make(kind: str) -> None:
    """The odd mount."""
    name = os.fsdecode(NAMES.get(kind, b"odd"))
    target = f"{FOLDER}/{name}"
    if kind == "hanging file":
        Path(target).touch()
    else:
        os.mkdir(target)
    if kind in NAMES:
        linux.mount("odd", target, "tmpfs", 0, "mode=755")
    elif kind == "unreadable":
        linux.mount("odd", target, "tmpfs", 0, "mode=000")
    elif kind == "vanished":
        linux.mount("odd", target, "tmpfs", 0, "mode=755")
        Path(target, "inside").mkdir()
        linux.mount("odd", f"{target}/inside", "tmpfs", 0, "mode=755")
        linux.call("umount2", target, 2)
    else:
        served = fuse(target)
        if kind == "broken":
            os.close(served)
        else:
            os.set_inheritable(served, True)


if __name__ == "__main__":
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    linux.mount("srv", FOLDER, "tmpfs", 0, "mode=755")
    Path(FOLDER, "seen").write_text("seen")
    make(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
