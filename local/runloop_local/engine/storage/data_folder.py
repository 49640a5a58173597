"""Creates the service's data folder, and checks it for data without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import private_folder
from ..errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_FILES = ("service.*", "lock", "reserve", "sandboxes", "objects", "logs", "build_logs", "builds", "axons", "kernels")
_DATA = {
    "disk": "sandboxes/*/sandboxes/dbx_*",
    "layer": "sandboxes/*/layers/l[0-9a-f]*",
    "object": "objects/obj_*",
    "axon": "axons/axn_*",
}


def make(folder: Path) -> None:
    """Create the folder if it does not exist. Raises `OSError`, also if other accounts can read it."""
    private_folder.make(folder, _FILES)


def require_empty(folder: Path, database: Path) -> None:
    """Raise `StorageError` if there is data beside a missing or empty database, which alone describes it."""
    found = {what: sum(1 for _ in folder.glob(pattern)) for what, pattern in _DATA.items()}
    counted = [f"{count} {what}{'' if count == 1 else 's'}" for what, count in found.items() if count]
    if counted:
        raise StorageError(
            f"{database} is missing or empty, but describes the {', '.join(counted)} beside it. Put it back, with "
            f"{database.name}-wal if there is one, or move {folder} away to start anew. Nothing was deleted."
        )
