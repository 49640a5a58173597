"""The folders of sandboxes, layers and caches on this machine's disk."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING

from runloop_local.sandbox.base import IMAGE_LAYER, SCRATCH, SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runloop_local.sandbox.link import Helper

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PROCESS = "process"
_CACHES, _CONTENT = "caches", "content"
_LOWEST = ("base", "skeleton", SCRATCH)
_COPY = ("cp", "-pPR") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")


class Store:
    """The part of the data folder that belongs to one kind of isolation, as kinds cannot share owners and layers."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        self.folder = data_dir.resolve() / kind
        self.layers = self.folder / "layers"
        self._kind = kind
        self.layers.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def sandbox(self, sandbox_id: str) -> Path:
        """The folder of a sandbox."""
        return self.folder / "sandboxes" / checked(sandbox_id)

    def layer(self, layer: str) -> Path:
        """The folder of a layer."""
        return self.layers / checked(layer)

    def existing_layer(self, layer: str) -> Path:
        """The folder of a layer; raises SandboxError if it does not exist."""
        if not self.layer(layer).is_dir():
            raise SandboxError(f"There is no snapshot layer {layer!r} for {self._kind} isolation on this machine.")
        return self.layer(layer)

    def new_layer(self, layer: str) -> Path:
        """The folder for a new layer; raises SandboxError if it exists already."""
        if self.layer(layer).exists():
            raise SandboxError(f"The snapshot layer {layer!r} exists already.")
        return self.layer(layer)

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        return names_in(self.folder / "sandboxes")

    def snapshot_layers(self) -> frozenset[str]:
        """The layers that snapshots made, unfinished ones included."""
        names = names_in(self.layers)
        return frozenset(
            name for name in names if not (name.startswith(IMAGE_LAYER) or name.removesuffix(".new") in _LOWEST)
        )

    def lowest_layers(self) -> frozenset[str]:
        """The layers that images brought, and the empty one that disks without an image stand on."""
        whole = (name for name in names_in(self.layers) if not name.endswith(".new"))
        return frozenset(name for name in whole if name.startswith(IMAGE_LAYER) or name == SCRATCH)

    def check_kind(self, sandbox_id: str) -> None:
        """Raise SandboxError for a sandbox that was created with another kind of isolation."""
        name = checked(sandbox_id)
        for kind in names_in(self.folder.parent) - {self._kind}:
            if (self.folder.parent / kind / "sandboxes" / name).exists():
                raise SandboxError(f"Devbox {sandbox_id} was made with {kind} isolation, this is {self._kind}.")

    async def copy(self, helper: Helper, source: Path, target: Path) -> None:
        """Copy a folder atomically."""
        unfinished = target.with_name(f"{target.name}.new")
        if unfinished.exists():
            await self.remove(helper, unfinished)
        await helper.tool(*_COPY, str(source), str(unfinished))
        unfinished.rename(target)

    async def remove(self, helper: Helper, folder: Path) -> None:
        """Delete a folder, even if programs have removed permissions from its files."""
        if self._kind == PROCESS:  # with namespaces the helper has root's rights on the files
            await helper.tool("chmod", "-R", "u+rwX", str(folder))
        await helper.tool("rm", "-rf", str(folder))


class Caches:
    """Named folders that outlive sandboxes.

    Sandboxes mount a subfolder; the modification time of the folder around it is the time of last use.
    """

    def __init__(self, store: Store, helper: Helper) -> None:
        self._store = store
        self._helper = helper
        self._folder = store.folder / _CACHES

    def folder(self, name: str) -> Path:
        """The folder of a cache, around the content that sandboxes mount."""
        return self._folder / checked(name)

    @staticmethod
    def content(name: str) -> str:
        """The path of a cache's content, relative to the store's folder."""
        return f"{_CACHES}/{checked(name)}/{_CONTENT}"

    def used(self) -> Mapping[str, int]:
        """The time of last use, in ms, of each cache on disk."""
        return {name: (self._folder / name).stat().st_mtime_ns // 10**6 for name in names_in(self._folder)}

    def touch(self, name: str) -> None:
        """Mark a cache as used now, creating it if it does not exist."""
        self.folder(name).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(self.folder(name))

    def is_new(self, name: str) -> bool:
        """True if no sandbox has mounted the cache yet."""
        return not (self.folder(name) / _CONTENT).exists()

    async def bytes_of(self, name: str) -> int:
        """The size of a cache on disk. The time grows with the number of files."""
        return await used_bytes(self.folder(name))

    async def remove(self, name: str) -> None:
        """Delete a cache that no sandbox has mounted."""
        await self._store.remove(self._helper, self.folder(name))


async def used_bytes(folder: Path) -> int:
    """The size of a folder on disk. The time grows with the number of files."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        "du", "-skx", str(folder), stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=quiet
    )
    found, _ = await process.communicate()  # du fails if files vanish meanwhile, but still counts the rest
    return int(found.split(b"\t")[0] or 0) * 1024


def names_in(folder: Path) -> frozenset[str]:
    """The names in a folder; none if it does not exist."""
    return frozenset(entry.name for entry in folder.iterdir()) if folder.is_dir() else frozenset()


def checked(name: str) -> str:
    """Check that a name is valid for a folder; raises SandboxError."""
    if not _NAME.fullmatch(name):
        raise SandboxError(f"{name!r} cannot name a sandbox or layer: use letters, digits, '.', '_' and '-'.")
    return name
