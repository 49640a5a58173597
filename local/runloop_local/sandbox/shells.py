"""The shells that commands are started with: which of them a disk has is known only inside it."""

from __future__ import annotations

import os

LOGIN = "\0login"
"""Stands in a command for the best shell of the disk. No program has this name: an argument cannot hold a NUL."""
BASH = "\0bash"
"""Stands for its bash."""
_SH = "/bin/sh"
_BASH = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
_CANDIDATES = {LOGIN: (*_BASH, _SH, "/usr/bin/sh"), BASH: _BASH}
_NONE = "This disk has no shell to run commands with, neither bash nor /bin/sh; use an image that has one"
_MISSING = {
    LOGIN: _NONE,
    _SH: _NONE,
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


def not_started(program: str, error: OSError) -> str:
    """Why a program of the current root could not be started."""
    if isinstance(error, FileNotFoundError):
        if program == _SH and not os.path.lexists(_SH):
            return _NONE
        if "/" in program and os.path.exists(program):  # noqa: PTH110 - a Path would import more
            return f"{program}: the loader or interpreter that it names is not on this disk"
    return f"{program}: {os.strerror(error.errno or 0)}"
