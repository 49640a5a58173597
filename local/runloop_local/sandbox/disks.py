"""Where sandboxes and layers lie on this machine's disk."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING

from runloop_local.sandbox.base import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runloop_local.sandbox.link import Helper

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PROCESS = "process"
_CACHES, _CONTENT = "caches", "content"
_LOWEST = ("base", "skeleton")
_COPY = ("cp", "-pPR") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")


class Store:
    """One kind of isolation's part of the data folder: owners and layers mean nothing to the other kinds."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        self.folder = data_dir.resolve() / kind
        self.layers = self.folder / "layers"
        self._kind = kind
        self.layers.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def sandbox(self, sandbox_id: str) -> Path:
        """A sandbox's folder."""
        return self.folder / "sandboxes" / checked(sandbox_id)

    def layer(self, layer: str) -> Path:
        """A layer's folder."""
        return self.layers / checked(layer)

    def existing_layer(self, layer: str) -> Path:
        """A layer's folder; raises SandboxError when there is none."""
        if not self.layer(layer).is_dir():
            raise SandboxError(f"There is no snapshot layer {layer!r} for {self._kind} isolation on this machine.")
        return self.layer(layer)

    def new_layer(self, layer: str) -> Path:
        """A layer's folder; raises SandboxError when there is one already."""
        if self.layer(layer).exists():
            raise SandboxError(f"The snapshot layer {layer!r} exists already.")
        return self.layer(layer)

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        return _names(self.folder / "sandboxes")

    def snapshot_layers(self) -> frozenset[str]:
        """The layers that snapshots made, half-made ones too."""
        return frozenset(name for name in _names(self.layers) if name.removesuffix(".new") not in _LOWEST)

    def check_kind(self, sandbox_id: str) -> None:
        """Raises SandboxError for a sandbox that another kind of isolation has made."""
        for other in self.folder.parent.glob(f"*/sandboxes/{checked(sandbox_id)}"):
            kind = other.parts[-3]
            if kind != self._kind:
                raise SandboxError(f"Devbox {sandbox_id} was made with {kind} isolation, this is {self._kind}.")

    async def copy(self, helper: Helper, source: Path, target: Path) -> None:
        """Copy a folder whole, or not at all."""
        unfinished = target.with_name(f"{target.name}.new")
        if unfinished.exists():
            await self.remove(helper, unfinished)
        await helper.tool(*_COPY, str(source), str(unfinished))
        unfinished.rename(target)

    async def remove(self, helper: Helper, folder: Path) -> None:
        """Delete a folder, also where its owner took away permissions."""
        if self._kind == PROCESS:  # elsewhere the helper is root of what it deletes
            await helper.tool("chmod", "-R", "u+rwX", str(folder))
        await helper.tool("rm", "-rf", str(folder))


class Caches:
    """The folders that outlive sandboxes. What these see lies below one of the service's own, whose time is kept."""

    def __init__(self, store: Store, helper: Helper) -> None:
        self._store = store
        self._helper = helper
        self._folder = store.folder / _CACHES

    def folder(self, name: str) -> Path:
        """One's folder, with all that belongs to it."""
        return self._folder / checked(name)

    @staticmethod
    def content(name: str) -> str:
        """What sandboxes have mounted of one, below the store's folder."""
        return f"{_CACHES}/{checked(name)}/{_CONTENT}"

    def used(self) -> Mapping[str, int]:
        """Those on disk, and when they were of use last, in ms."""
        return {name: (self._folder / name).stat().st_mtime_ns // 10**6 for name in _names(self._folder)}

    def touch(self, name: str) -> None:
        """One is of use now; it is made if there is none."""
        self.folder(name).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(self.folder(name))

    def is_new(self, name: str) -> bool:
        """Whether no sandbox has had it yet."""
        return not (self.folder(name) / _CONTENT).exists()

    async def bytes_of(self, name: str) -> int:
        """What one takes on disk; slower the more files it has."""
        return await used_bytes(self.folder(name))

    async def remove(self, name: str) -> None:
        """Delete one that no sandbox has mounted."""
        await self._store.remove(self._helper, self.folder(name))


async def used_bytes(folder: Path) -> int:
    """What a folder takes on disk; slower the more files it has."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        "du", "-skx", str(folder), stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=quiet
    )
    found, _ = await process.communicate()  # it fails where files go away meanwhile, and counts the rest
    return int(found.split(b"\t")[0] or 0) * 1024


def _names(folder: Path) -> frozenset[str]:
    return frozenset(entry.name for entry in folder.iterdir()) if folder.is_dir() else frozenset()


def checked(name: str) -> str:
    """The name, if it can be a folder's; raises SandboxError."""
    if not _NAME.fullmatch(name):
        raise SandboxError(f"{name!r} cannot name a sandbox or layer: use letters, digits, '.', '_' and '-'.")
    return name
