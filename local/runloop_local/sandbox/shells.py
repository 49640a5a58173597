"""The shells that commands are started with: which of them a disk has is known only inside it."""

from __future__ import annotations

import os

LOGIN = "\0login"
"""Stands in a command for the best shell of the disk. No program has this name: an argument cannot hold a NUL."""
BASH = "\0bash"
"""Stands for its bash."""
_BASH = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
_CANDIDATES = {LOGIN: (*_BASH, "/bin/sh", "/usr/bin/sh"), BASH: _BASH}
_MISSING = {
    LOGIN: "This disk has no shell, neither bash nor /bin/sh, to run commands with: use an image that has one.",
    BASH: "named shells need bash, which this disk does not have: leave out shell_name, or install bash",
}


def is_one(program: str) -> bool:
    """True for a name that stands for a shell."""
    return program in _CANDIDATES


def find(name: str) -> str:
    """The path of this shell on the current root; empty if it has none."""
    return next((path for path in _CANDIDATES[name] if os.access(path, os.X_OK)), "")


def missing(name: str) -> str:
    """The sentence for a disk without this shell."""
    return _MISSING[name]
