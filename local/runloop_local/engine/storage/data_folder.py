"""The service's data folder: whose it is, and what lies in it beside its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import private_folder
from ..errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_FILES = ("service.*", "lock", "reserve", "sandboxes", "objects", "logs", "build_logs", "builds", "axons", "kernels")
_THINGS = {
    "disk": "sandboxes/*/sandboxes/dbx_*",
    "layer": "sandboxes/*/layers/l[0-9a-f]*",
    "object": "objects/obj_*",
    "axon": "axons/axn_*",
}


def make(folder: Path) -> None:
    """Make the folder if need be. `OSError` where that cannot be, or other accounts can look into it."""
    private_folder.make(folder, _FILES)


def require_nothing(folder: Path, database: Path) -> None:
    """`StorageError` if there are things beside a missing or empty database, which alone says what they are."""
    found = {what: sum(1 for _ in folder.glob(pattern)) for what, pattern in _THINGS.items()}
    counted = [f"{count} {what}{'' if count == 1 else 's'}" for what, count in found.items() if count]
    if counted:
        raise StorageError(
            f"{database} is missing or empty, which says what the {', '.join(counted)} beside it are. Put it back, "
            f"with {database.name}-wal if there is one, or move {folder} away to begin anew. Nothing was deleted."
        )
