"""Internal commands in a devbox, such as those that list a folder, with a mark by which logs can leave them out.

A devbox's logs have them between the commands of the user.
"""

from __future__ import annotations

import shlex

_MARK = ": runloop_sdk; "  # to a shell it does nothing


def own_command(command: str) -> str:
    """The command with the mark of internal ones."""
    return _MARK + command


def file_command(command: str) -> str:
    """An internal command on files: relative paths begin in the home directory, as in the file calls of the API.

    Commands begin elsewhere where an image names another folder.
    """
    return own_command(f"cd || exit; {command}")


def is_own(command: str) -> bool:
    """True if a command has the mark of internal ones."""
    return command.startswith(_MARK)


def quoted_path(path: str) -> str:
    """A path quoted for a shell: `~/` is the home directory, and no path is taken for an option."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + shlex.quote(path[1:])
    return shlex.quote(path if path.startswith("/") else f"./{path}")
