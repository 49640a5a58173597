"""Whole folders to and from a devbox, as `devbox.file` offers them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ._downloads import Progress
from ._errors import CommandError, LocalFileError
from ._extraction import Skipped
from ._hostile_tar import ExtractionLimits
from ._listing import Entry, is_below
from .archives import ArchiveWriter, Packed, TarFilter
from .folders import TREE, Placing, RemoteFolder

_IN_THE_WAY = "a folder, a file or a link of this name is in the way on the devbox"


@dataclass(frozen=True, slots=True)
class FolderTransfer:
    """The paths that were left out and why, and the files that changed while they were read."""

    left_out: tuple[Skipped, ...] = ()
    changed: tuple[str, ...] = ()


async def upload_folder(
    folder: RemoteFolder, local: Path, *, ignore: TarFilter | None = None, progress: Progress | None = None
) -> FolderTransfer:
    """Upload the content of a local folder into a folder of a devbox, which is created."""
    if not await asyncio.to_thread(local.is_dir):
        raise LocalFileError(errno.ENOTDIR, "no folder", str(local))
    listing = await folder.list()
    remote = {} if listing is None else listing.entries
    obstacles: list[str] = []

    def pack(writer: ArchiveWriter) -> tuple[Packed, Placing]:
        packed = writer.add_all(local, ignore, TREE)
        obstacles.extend(_obstacles(packed, remote))
        folders = {path: mode for path, mode in packed.folders.items() if _is_free(path, obstacles)}
        return packed, Placing(folders, [path for path in packed.paths if _is_free(path, obstacles)])

    packed, sent = await folder.send(pack, progress=progress)
    others = (each for each in sent.left_out if _is_free(each.name, obstacles))
    left_out = (*packed.left_out, *(Skipped(path, _IN_THE_WAY) for path in obstacles), *others)
    return FolderTransfer(left_out, tuple(packed.changed))


def _obstacles(packed: Packed, remote: Mapping[str, Entry]) -> list[str]:
    found = [path for path in packed.folders if path in remote and remote[path].kind != "folder"]
    found += [path for path in packed.paths if path in remote and remote[path].kind == "folder"]
    return [path for path in found if not is_below(path, found)]


def _is_free(path: str, obstacles: list[str]) -> bool:
    return path not in obstacles and not is_below(path, obstacles)


async def download_folder(
    folder: RemoteFolder, local: Path, *, progress: Progress | None = None, limits: ExtractionLimits | None = None
) -> FolderTransfer:
    """Download a devbox's folder into a local folder, which is created; raises `CommandError` if there is none."""
    listing = await folder.list()
    if listing is None:
        raise CommandError(f"There is no folder {folder.path!r} on the devbox.", exit_code=1)
    if not listing.complete:
        raise CommandError(f"The devbox cannot list {folder.path!r} completely.", exit_code=1)
    wanted = {path: entry for path, entry in listing.entries.items() if entry.is_taken}
    fetched = await folder.fetch(local, wanted, limits=limits, progress=progress)
    return FolderTransfer((*listing.left_out, *fetched.left_out), fetched.changed)
