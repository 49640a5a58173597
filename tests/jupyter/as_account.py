"""Run a program as an account that this machine does not know: `as_account.py CHECKOUT FULL PROGRAM... FILE`.

FILE is given to that account. FULL becomes a disk that is full, if it is a path.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from runloop_local.sandbox import linux
from tests.local.sandbox.as_nobody import NOBODY, open_the_way


def main(checkout: Path, full: str, argv: list[str]) -> None:
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount(None, "/", None, linux.RECURSIVE | linux.PRIVATE)
    open_the_way([Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), checkout])
    if full:
        Path(full).mkdir(exist_ok=True)
        linux.mount("tmpfs", full, "tmpfs", 0, f"uid={NOBODY},mode=700,nr_inodes=1")
    os.chown(argv[-1], NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
