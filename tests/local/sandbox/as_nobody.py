"""Run this folder's tests as an account without privileges: `as_nobody.py CHECKOUT SCRATCH`.

With `below` as a third argument, only those of `_BELOW`, on a machine with mounts below /etc and /var: as where an
engine runs containers, and in one.

The interpreter may lie in a folder that is closed to other accounts (root's home), so a mount namespace opens the way:
each closed folder is covered by an empty one, with only what is needed bound into it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from runloop_local.sandbox import linux

NOBODY = 64_999
_CHOICE = "not none or without_isolation"  # plain processes were tested by the caller's account
_BELOW = ("test_choice.py", "test_private_files.py", "test_users.py")


def closed_above(path: Path) -> Path | None:
    """The highest folder above that other accounts cannot pass."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)


def open_the_way(needed: list[Path]) -> None:
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in needed}
    for folder in {folder for path in needed if (folder := closed_above(path))}:
        linux.mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
    for path, fd in held.items():
        if path.exists():  # not covered
            continue
        path.mkdir(parents=True, exist_ok=True)
        linux.mount(f"/proc/self/fd/{fd}", str(path), None, linux.BIND | linux.RECURSIVE)


def mount_below() -> None:
    linux.mount("odd", "/var/lib", "tmpfs", 0, "mode=755")
    linux.mount("/etc/hosts", "/etc/hosts", None, linux.BIND)


def main(checkout: Path, scratch: Path, *, below: bool) -> None:
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    open_the_way([Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), checkout])
    if below:
        mount_below()
    scratch.mkdir()
    os.chown(scratch, NOBODY, NOBODY)
    pid = os.fork()
    if not pid:
        become_nobody(scratch)
        folder = Path(__file__).parent
        tests = [str(folder / name) for name in _BELOW] if below else [str(folder)]
        argv = [
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={scratch}/pytest",
            *tests,
        ]
        os.chdir(checkout)
        os.execv(sys.executable, [sys.executable, *argv, "-rA", "-k", _CHOICE])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    shutil.rmtree(scratch)
    sys.exit(status)


def become_nobody(scratch: Path) -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.environ.clear()
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch), PATH=os.defpath, PYTHONDONTWRITEBYTECODE="1")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), below="below" in sys.argv[3:])
