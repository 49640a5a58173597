"""Folders as gzipped tars, both ways. Blocking: call it in a thread."""

from __future__ import annotations

import errno
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ._errors import LocalFileError
from ._local_files import local_file

TarFilter = Callable[[tarfile.TarInfo], tarfile.TarInfo | None]
"""What `tarfile` calls a filter: gives the member to add, changed or not, or None to leave it out."""
SMALL = 8 << 20
"""Archives up to so many bytes stay in memory; larger ones go to a temporary file."""


def pack(folder: Path, archive: BinaryIO, ignore: TarFilter | None = None) -> None:
    """Write `folder`'s content to `archive` and rewind it; raises `LocalFileError` if it is no folder."""
    if not folder.is_dir():
        raise LocalFileError(errno.ENOTDIR, "no folder", str(folder))
    with local_file(), tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for member in sorted(folder.iterdir()):
            tar.add(member, arcname=member.name, filter=ignore)
    archive.seek(0)


def unpack(archive: BinaryIO, folder: Path) -> None:
    """Write `archive`'s members into `folder`, which is made; one that would leave it raises `tarfile.FilterError`."""
    archive.seek(0)
    with local_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            tar.extractall(folder, filter="data")


def gitignored(folder: Path) -> TarFilter:
    """A filter for `pack` that leaves out `.git` and what the `.gitignore` files of `folder` name."""
    from pathspec import GitIgnoreSpec

    specs = {
        file.parent.relative_to(folder): GitIgnoreSpec.from_lines(file.read_text().splitlines())
        for file in sorted(folder.rglob(".gitignore"))
    }

    def keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        path = Path(member.name)
        slash = "/" if member.isdir() else ""
        ignored = any(
            spec.match_file(f"{path.relative_to(base)}{slash}")
            for base, spec in specs.items()
            if path != base and path.is_relative_to(base)
        )
        return None if ignored or path.name == ".git" else member

    return keep
