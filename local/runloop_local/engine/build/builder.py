"""Runs the steps of a build, each on the frozen disk of the one before."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ...sandbox.base import SandboxError
from ..devbox.limits import BUILD, Size
from ..errors import EngineError
from ..storage.archive import Archive, ArchiveLimits
from .base import Base
from .disk import Budget, BuildDisk, StepError
from .mounts import BuildMounts, DiskPart
from .patterns import Selection, Source, Tree, ignore_rules, select
from .plan import Copy, Folder, Furnish, Run, StageContext, Step, Write, needed, outside_names
from .run_mounts import Bind, Cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ..devbox.lifecycle import FailureReason
    from ..network.policies import EgressRules
    from .disk import BuildEnvironment
    from .log import BuildLog
    from .origins import Origin
    from .plan import Action, Stage
    from .run_mounts import Mount

_CONTEXT = "/.build-context"
"""The folder of a build context in the disk made for it."""


class BuildError(Exception):
    """The build failed; the text is a sentence that names the step."""

    def __init__(self, sentence: str, reason: FailureReason | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        """The limit that was exceeded, if any."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A build to run."""

    stages: tuple[Stage, ...]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The disks that FROM, COPY --from and RUN --mount name."""
    base: Base | None = None
    """The disk to start from instead of FROM."""
    context: Path | None = None
    """The archive of the build context."""
    size: Size = BUILD
    """The resources that it may use."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables of all its programs."""
    mounted: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values of secrets that its steps mount, by id."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Other words that the log must not show."""
    rules: EgressRules | None = None
    """The connections that its steps may make; None for all."""


class Build:
    """A build in progress."""

    def __init__(self, environment: BuildEnvironment, request: BuildRequest, log: BuildLog) -> None:
        self._environment = environment
        self._request = request
        self._log = log
        self._built: dict[int, Base] = {}
        self._stack = ExitStack()
        """Held layers and open archives."""
        self._budget = Budget(request.size.limits())
        self._workspace = _Workspace(environment.folder, self._budget.limits.disk_bytes)
        self._context = _Context(request.context, self._workspace, self._stack)
        self._mounts = BuildMounts(environment.cache_mounts, request.mounted, log)

    async def run(self) -> Base:
        """Run the build; returns the disk of the last stage, held until `close`. Raises `BuildError`."""
        stages = {number: self._request.stages[number] for number in sorted(needed(self._request.stages))}
        total = sum(len(stage.steps) for stage in stages.values())
        done = 0
        for name in outside_names(self._request.stages):
            if meaning := self._request.origins[name].meaning:
                self._log.write(f"{name} is {meaning}.")
        for number, stage in stages.items():
            disk = self._disk(self._start(stage))
            try:
                for step in stage.steps:
                    done += 1
                    self._log.write(f"Step {done}/{total} : {step.title}")
                    await self._run_step(disk, step)
            finally:
                # The layers stay: what goes is the sandbox that the last step ran in.
                await disk.discard()
            self._built[number] = disk.base
        return self._built[len(self._request.stages) - 1]

    def close(self) -> None:
        """Release the layers and archives."""
        self._stack.close()

    def _disk(self, base: Base) -> BuildDisk:
        disk = BuildDisk(self._environment, self._request.secrets, self._log, base, self._budget)
        disk.restrict(self._request.rules)
        return disk

    def _start(self, stage: Stage) -> Base:
        if stage.base is None:
            if self._request.base is None:
                raise BuildError("The build has no disk to start from.")
            return self._request.base
        try:
            return self._base_of(stage.base)
        except StepError as error:
            raise _failure(stage.steps[0], str(error)) from error

    async def _run_step(self, disk: BuildDisk, step: Step) -> None:
        try:
            await self._apply_step(disk, step)
        except (StepError, SandboxError, EngineError, ValueError) as error:
            # Asked before the sentence is made: a program that was killed for a limit says no more than exit status
            # 137.
            violation = await disk.violation()
            if violation is None:
                raise _failure(step, str(error)) from error
            raise _failure(step, violation.sentence, violation.reason) from error

    async def _apply_step(self, disk: BuildDisk, step: Step) -> None:
        if step.note is not None:
            self._log.write(step.note, "warn")
        if step.action is None:
            return
        if not await self._advance(disk, step, step.action):
            self._log.write("cached")

    async def _advance(self, disk: BuildDisk, step: Step, action: Action) -> bool:
        """Apply a step to the disk; False if it was cached."""
        key = _key(disk.base.key, step, await self._content_key(action))
        cached = await self._cached(key, action)
        if cached is not None:
            # A sandbox of the step before stands on another disk than the one that the cache has for this step.
            await disk.discard()
            disk.base = cached
            return False
        await self._perform(disk, step)
        await self._freeze(disk, key)
        return True

    async def _cached(self, key: str, action: Action) -> Base | None:
        if isinstance(action, Run) and not action.cached:
            return None
        step = self._environment.cache.find(key)
        if step is None:
            return None
        # Held before the first await, so that no sweep removes the layers in between.
        self._stack.enter_context(self._environment.layers.held(step.layers))
        await self._environment.cache.touch(step)
        return Base(step.layers, key)

    async def _freeze(self, disk: BuildDisk, key: str) -> None:
        # The new layer is held before it exists, so that no sweep removes it before the cache holds it.
        layer = self._environment.layers.fresh()
        self._stack.enter_context(self._environment.layers.held([layer]))
        await self._environment.layers.announce(layer)
        layers = await disk.freeze(layer)
        self._stack.enter_context(self._environment.layers.held(layers))
        disk.base = Base(layers, key)
        await self._environment.cache.add(key, layers)

    async def _perform(self, disk: BuildDisk, step: Step) -> None:
        match step.action:
            case Run():
                await self._run(disk, step.action, step.stage_context)
            case Folder():
                await disk.folder(step.action, step.stage_context)
            case Write():
                await disk.write(step.action, step.stage_context)
            case Copy():
                await self._copy(disk, step.action)
            case Furnish():
                for line in filter(None, (await disk.furnish(step.action)).split("\n")):
                    self._log.write(f"Added: {line}.")

    async def _run(self, disk: BuildDisk, run: Run, stage_context: StageContext) -> None:
        self._mounts.require(run.mounts)
        parts = {mount: part for mount in run.mounts if (part := await self._part(mount)) is not None}
        async with AsyncExitStack() as stack:
            mounted = await self._mounts.take(run.mounts, parts, stack)
            before = self._environment.cache_mounts.bytes_of(mounted.caches)
            await disk.run(run, stage_context, mounted, before)
        # Caches are shared and stay, but a build may not fill the disk with them past its limit.
        self._budget.disk_used += max(0, self._environment.cache_mounts.bytes_of(mounted.caches) - before)

    async def _part(self, mount: Mount) -> DiskPart | None:
        """The part of a disk that a mount shows; None for a mount without a disk."""
        if not isinstance(mount, Bind | Cache) or (isinstance(mount, Cache) and mount.stage is None):
            return None
        if mount.stage is None:
            base = await self._context_disk(mount.source)
            return DiskPart(base.layers, f"{_CONTEXT}{mount.source}", base.key)
        base = self._base_of(mount.stage)
        return DiskPart(base.layers, mount.source, base.key)

    async def _context_disk(self, source: str) -> Base:
        """A disk that contains this path of the build context."""
        copy = _context_copy(source)
        # A step of its own, and so cached: steps that mount the same files share one disk.
        disk = self._disk(Base(key="context"))
        try:
            await self._advance(disk, Step("build context", StageContext(), copy), copy)
        finally:
            await disk.discard()
        return disk.base

    async def _mounts_key(self, mounts: tuple[Mount, ...]) -> str:
        """The cache key of mounted disks; the contents of caches and secrets do not count."""
        keys = []
        for mount in mounts:
            if isinstance(mount, Bind) and mount.stage is None:
                keys.append(await self._content_key(_context_copy(mount.source)))
            elif isinstance(mount, Bind | Cache) and mount.stage is not None:
                keys.append(self._base_of(mount.stage).key)
        return " ".join(keys)

    async def _content_key(self, action: Action) -> str:
        """The cache key of a step's inputs besides its text."""
        if isinstance(action, Run):
            # What a step has made that could reach more, or less, is not what it makes now.
            reach = "" if self._request.rules is None else repr(self._request.rules)
            return f"{await self._mounts_key(action.mounts)}{reach}"
        if not isinstance(action, Copy):
            return ""
        if action.stage is not None:
            return self._base_of(action.stage).key
        if not action.sources:
            return ""
        selection = await self._context.select(action)
        context = await self._context.archive()
        return await asyncio.to_thread(context.digest, selection.targets)

    def _base_of(self, stage: int | str) -> Base:
        if isinstance(stage, int):
            return self._built[stage]
        origin = self._request.origins[stage]
        if origin.failure is not None:
            raise StepError(origin.failure)
        return origin.base

    async def _copy(self, disk: BuildDisk, copy: Copy) -> None:
        if copy.stage is not None:
            async with self._exported(copy.stage, copy) as (archive, sources):
                tree = archive.tree().without(ignore_rules("\n".join(copy.exclude)))
                await disk.put(copy, archive, select(tree, sources, parents=copy.parents))
        elif copy.sources:
            selection = await self._context.select(copy)
            await disk.put(copy, await self._context.archive(), selection)
        else:
            await disk.put(copy, None, Selection({}))

    @asynccontextmanager
    async def _exported(self, stage: int | str, copy: Copy) -> AsyncIterator[tuple[Archive, list[Source]]]:
        """The files that COPY --from takes, as an archive, and their names in it."""
        other = self._disk(self._base_of(stage))
        file = self._environment.folder / f"export-{secrets.token_hex(6)}"
        try:
            sources = await other.export(copy, file)
            archive = await self._workspace.open(file)
            try:
                yield archive, sources
            finally:
                archive.close()
        finally:
            await other.discard()
            file.unlink(missing_ok=True)


class _Context:
    """The build context, whose archive is opened when a step first needs it."""

    def __init__(self, file: Path | None, workspace: _Workspace, stack: ExitStack) -> None:
        self._file = file
        self._workspace = workspace
        self._stack = stack
        """Closes the archive."""
        self._archive: Archive | None = None
        self._tree: Tree | None = None

    async def archive(self) -> Archive:
        """The archive; raises `StepError` if the build has no context."""
        if self._file is None:
            raise StepError("the build has no context: give it build_context, an object with a tar archive")
        if self._archive is None:
            self._archive = self._stack.enter_context(closing(await self._workspace.open(self._file)))
        return self._archive

    async def select(self, copy: Copy) -> Selection:
        """The files of the context that a step copies."""
        tree = (await self._whole_tree()).without(ignore_rules("\n".join(copy.exclude)))
        return select(tree, map(Source, copy.sources), parents=copy.parents)

    async def _whole_tree(self) -> Tree:
        archive = await self.archive()
        # Read once: the rules apply to all steps that copy from the context.
        if self._tree is None:
            rules = ignore_rules(await asyncio.to_thread(archive.text, ".dockerignore"))
            self._tree = archive.tree().without(rules)
        return self._tree


class _Workspace(msgspec.Struct, frozen=True):
    """The folder for the temporary files of a build, and the size that they may have."""

    folder: Path
    disk_bytes: int

    async def open(self, archive: Path) -> Archive:
        """Open an archive."""
        return await asyncio.to_thread(Archive.open, archive, self.folder, ArchiveLimits(self.disk_bytes))


def _context_copy(source: str) -> Copy:
    """A step that copies a path of the build context to a separate disk."""
    return Copy((source.lstrip("/") or ".",), f"{_CONTEXT}/", parents=True)


def _key(parent: str, step: Step, content: str) -> str:
    # The step's title and line do not count: to move a step in its Dockerfile changes nothing of what it makes.
    made_of = json.dumps(
        [
            parent,
            type(step.action).__name__,
            msgspec.to_builtins(step.action),
            msgspec.to_builtins(step.stage_context),
            content,
        ]
    )
    return hashlib.sha256(made_of.encode()).hexdigest()


def _failure(step: Step, why: str, reason: FailureReason | None = None) -> BuildError:
    location = "" if step.line is None else f"Dockerfile line {step.line}: "
    return BuildError(f"{location}{step.title[:200]}: {why}".rstrip(".") + ".", reason)
