"""Commands that a program runs in a devbox for its own sake, marked so that logs can leave them out.

A listing of a folder or the placing of a transfer is a command like others: the devbox's logs have it between those of
the user.
"""

from __future__ import annotations

import shlex

_MARK = ": runloop_sdk; "  # to a shell it does nothing


def own_command(command: str) -> str:
    """The command, marked."""
    return _MARK + command


def is_own(command: str) -> bool:
    """Whether a command has the mark."""
    return command.startswith(_MARK)


def quoted_path(path: str) -> str:
    """A path for a command line: quoted, `~/` as the home, and never taken for an option."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + shlex.quote(path[1:])
    return shlex.quote(path if path.startswith("/") else f"./{path}")
