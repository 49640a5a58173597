"""Resolves the mounts of a build step to mounts of its sandbox: disks, cache folders, and secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, get_args

import msgspec

from ...sandbox import base
from .run_mounts import Bind, Cache, Secret, Sharing, Tmpfs

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from .cache_mounts import CacheMounts
    from .log import BuildLog
    from .run_mounts import Mount

_SEEDS = "/run/.mount-"


class DiskPart(msgspec.Struct, frozen=True):
    """A part of a disk."""

    layers: tuple[str, ...]
    source: str
    key: str
    """The cache key of the disk."""


@dataclass(frozen=True, slots=True)
class ResolvedMounts:
    """The resolved mounts of a step."""

    mounts: tuple[base.Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    caches: tuple[str, ...] = ()
    """The cache folders among them."""
    seeds: tuple[tuple[str, str], ...] = ()
    """New cache folders to fill before the step: source and target of each copy."""


@dataclass(frozen=True, slots=True)
class BuildMounts:
    """Resolves the mounts of one build's steps."""

    caches: CacheMounts
    secrets: Mapping[str, str] = field(repr=False)
    log: BuildLog

    async def take(
        self, mounts: Sequence[Mount], parts: Mapping[Mount, DiskPart], stack: AsyncExitStack
    ) -> ResolvedMounts:
        """Resolve the mounts of a step, until the stack is closed. `parts` are the disks of mounts that have one."""
        files = [mount for mount in mounts if isinstance(mount, Secret)]
        env = {mount.variable: self.secrets[mount.id] for mount in files if mount.variable and mount.id in self.secrets}
        if self.caches.folders is None:
            if any(isinstance(mount, Cache | Tmpfs) for mount in mounts):
                self.log.write("Devboxes are plain processes here: --mount has no effect.", "warn")
            return ResolvedMounts(env=env)
        names = await self._caches(mounts, parts, stack)
        found = [made for mount in mounts if (made := self._resolve(mount, parts, names)) is not None]
        seeded = [mount for mount in names if mount in parts and self.caches.folders.is_new(names[mount])]
        seeds = [(f"{_SEEDS}{number}", mount) for number, mount in enumerate(seeded)]
        disks = [base.DiskMount(source, parts[mount].layers, parts[mount].source) for source, mount in seeds]
        return ResolvedMounts(
            (*found, *disks), env, tuple(names.values()), tuple((source, mount.target) for source, mount in seeds)
        )

    def require(self, mounts: Sequence[Mount]) -> None:
        """Raise `SandboxError` for mounts of files that plain processes cannot have, without which the step would fail.

        Caches are ignored instead, as they only make a build faster.
        """
        needed = any(isinstance(mount, Bind) or (isinstance(mount, Secret) and mount.target) for mount in mounts)
        if needed and self.caches.folders is None:
            raise base.SandboxError(
                "Devboxes are plain processes here, and nothing can be mounted for them: COPY the files, or give "
                "a secret a variable with env=."
            )

    async def _caches(
        self, mounts: Sequence[Mount], parts: Mapping[Mount, DiskPart], stack: AsyncExitStack
    ) -> dict[Cache, str]:
        """Take the cache folders, by mount, in a global order, so that no two builds wait for each other."""
        by_id: dict[str, list[Cache]] = {}
        for mount in mounts:
            if isinstance(mount, Cache):
                begin = f"{parts[mount].key}\0{mount.source}" if mount in parts else ""
                by_id.setdefault(f"{mount.id}\0{begin}", []).append(mount)
        found = {}
        for id_, those in sorted(by_id.items()):
            strictest = max(those, key=lambda mount: get_args(Sharing).index(mount.sharing))
            waits = partial(self.log.write, f"Waiting for the cache {strictest.id}, which another step uses.")
            name = await stack.enter_async_context(self.caches.use(id_, strictest.sharing, waits))
            found.update(dict.fromkeys(those, name))
        return found

    def _resolve(self, mount: Mount, parts: Mapping[Mount, DiskPart], caches: Mapping[Cache, str]) -> base.Mount | None:
        match mount:
            case Cache():
                return base.CacheMount(mount.target, caches[mount], mount.ownership, mount.read_only)
            case Bind():
                return base.DiskMount(mount.target, parts[mount].layers, parts[mount].source, mount.read_only)
            case Tmpfs():
                return base.MemoryMount(mount.target, mount.size, mount.read_only)
            case Secret():
                content = self.secrets.get(mount.id)
                if content is None or mount.target is None:
                    return None
                return base.FileMount(mount.target, content, mount.ownership)
