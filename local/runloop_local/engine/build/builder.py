"""Runs the steps of a build, each on the frozen disk of the one before."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import posixpath
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...sandbox.base import Command, SandboxError, failure
from ..devbox.files import Files, whole
from ..devbox.limits import BUILD, LimitMonitor, LimitViolation, Size, disk_violation
from ..errors import EngineError
from ..storage.archive import Archive, ArchiveLimits, CopyRequest, FileAttributes
from .mounts import BuildMounts, DiskPart, ResolvedMounts
from .patterns import Selection, Source, Tree, ignore_rules, is_pattern, select
from .patterns import clean as clean_path
from .plan import HOME, Copy, Folder, Run, StageContext, Step, Write, needed
from .programs import Programs
from .run_mounts import Bind, Cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ...sandbox.base import Isolation, Limits, Sandbox
    from ...sandbox.base import Mount as SandboxMount
    from ..devbox.lifecycle import FailureReason
    from ..fair_queue import FairQueue
    from ..storage.layers import Layers
    from ..storage.store import Store
    from .cache import BuildCache
    from .cache_mounts import CacheMounts
    from .log import BuildLog
    from .plan import Action, Stage
    from .run_mounts import Mount

SANDBOX_PREFIX = "build-"
_CONTEXT = "/.build-context"
"""The folder of a build context in the disk made for it."""
_USER = "The build"
"""The subject of sentences about exceeded limits."""
# Accounts are those of the disk, not of this machine, so they are looked up inside the sandbox.
_AS_ACCOUNT = """u=$1 g=$2; shift 2
if entry=$(getent passwd "$u"); then
  HOME=$(echo "$entry" | cut -d: -f6) g=${g:-$(echo "$entry" | cut -d: -f4)} groups=--init-groups
else
  case $u in *[!0-9]*) echo "there is no account $u"; exit 1 ;; esac
  HOME=/ g=${g:-$u} groups=--clear-groups
fi
export HOME
exec setpriv --reuid "$u" --regid "$g" "$groups" -- "$@"
"""
_MAKE_FOLDER = '[ -d "$1" ] || { mkdir -p -- "$1" && { [ -z "$2" ] || chown -- "$2" "$1"; }; }'
_SEED = 'cp -a -- "$1/." "$2/"'
_OWNER = """u=${1%%:*}; g=${1#"$u"}; g=${g#:}
case $u in *[!0-9]*) id=$(id -u -- "$u") || exit 1 ;; *) id=$u ;; esac
case $g in
  "") gid=$(id -g -- "$u" 2>/dev/null || echo "$id") ;;
  *[!0-9]*) gid=$(getent group "$g" | cut -d: -f3); [ -n "$gid" ] || { echo "there is no group $g"; exit 1; } ;;
  *) gid=$g ;;
esac
echo "$id $gid"
"""


class StepError(Exception):
    """A step failed; the text is part of a sentence."""


class BuildError(Exception):
    """The build failed; the text is a sentence that names the step."""

    def __init__(self, sentence: str, reason: FailureReason | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        """The limit that was exceeded, if any."""


@dataclass(frozen=True, slots=True)
class Base:
    """A disk to build on."""

    layers: tuple[str, ...] = ()
    key: str = ""
    """A digest of how it was made: disks with equal keys are equal."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A build to run."""

    stages: tuple[Stage, ...]
    bases: Mapping[str, Base] = field(default_factory=dict)
    """The blueprints that FROM and COPY --from name."""
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


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """The services that all builds use."""

    isolation: Isolation
    store: Store
    layers: Layers
    cache: BuildCache
    fair_queue: FairQueue
    cache_mounts: CacheMounts
    folder: Path
    """For temporary files of steps."""

    @property
    def has_root(self) -> bool:
        """True if disks have folders outside of the home folder, and accounts."""
        return self.isolation.name == "namespaces"


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

    def _disk(self, base: Base) -> _Disk:
        return _Disk(self._environment, self._request, self._log, base, self._budget)

    def _start(self, stage: Stage) -> Base:
        if stage.base is None:
            return self._request.base or Base(key=machine_key(self._environment.isolation))
        if isinstance(stage.base, int):
            return self._built[stage.base]
        known = self._request.bases.get(stage.base)
        if known is not None:
            return known
        self._log.write(
            f"There is no Docker engine here: instead of {stage.base}, this build starts from this machine's own "
            f"userland ({_system()}).",
            "warn",
        )
        return Base(key=machine_key(self._environment.isolation))

    async def _run_step(self, disk: _Disk, step: Step) -> None:
        try:
            await self._apply_step(disk, step)
        except (StepError, SandboxError, EngineError, ValueError) as error:
            # Asked before the sentence is made: a program that was killed for a limit says no more than exit status
            # 137.
            violation = await disk.violation()
            location = "" if step.line is None else f"Dockerfile line {step.line}: "
            sentence = f"{location}{step.title[:200]}: {error if violation is None else violation.sentence}".rstrip(".")
            raise BuildError(f"{sentence}.", None if violation is None else violation.reason) from error

    async def _apply_step(self, disk: _Disk, step: Step) -> None:
        if step.note is not None:
            self._log.write(step.note, "warn")
        if step.action is None:
            return
        if not await self._advance(disk, step, step.action):
            self._log.write("cached")

    async def _advance(self, disk: _Disk, step: Step, action: Action) -> bool:
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

    async def _freeze(self, disk: _Disk, key: str) -> None:
        # The new layer is held before it exists, so that no sweep removes it before the cache holds it.
        layer = self._environment.layers.fresh()
        self._stack.enter_context(self._environment.layers.held([layer]))
        await self._environment.layers.announce(layer)
        layers = await disk.freeze(layer)
        self._stack.enter_context(self._environment.layers.held(layers))
        disk.base = Base(layers, key)
        await self._environment.cache.add(key, layers)

    async def _perform(self, disk: _Disk, step: Step) -> None:
        match step.action:
            case Run():
                await self._run(disk, step.action, step.stage_context)
            case Folder():
                await disk.folder(step.action, step.stage_context)
            case Write():
                await disk.write(step.action, step.stage_context)
            case Copy():
                await self._copy(disk, step.action)

    async def _run(self, disk: _Disk, run: Run, stage_context: StageContext) -> None:
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
            return await self._mounts_key(action.mounts)
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
        if stage not in self._request.bases:
            raise StepError(f"no stage or blueprint is called {stage!r}")
        return self._request.bases[stage]

    async def _copy(self, disk: _Disk, copy: Copy) -> None:
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


@dataclass(frozen=True, slots=True)
class _Workspace:
    """The folder for the temporary files of a build, and the size that they may have."""

    folder: Path
    disk_bytes: int

    async def open(self, archive: Path) -> Archive:
        """Open an archive."""
        return await asyncio.to_thread(Archive.open, archive, self.folder, ArchiveLimits(self.disk_bytes))


@dataclass(slots=True)
class Budget:
    """The limits of a build, and the disk space that its steps have used so far."""

    limits: Limits
    disk_used: int = 0


class _Disk:
    """The disk of the current stage; its sandbox is created when a step needs one."""

    def __init__(
        self, environment: BuildEnvironment, request: BuildRequest, log: BuildLog, base: Base, budget: Budget
    ) -> None:
        self.base = base
        self._environment = environment
        self._request = request
        self._budget = budget
        self._flow = environment.fair_queue.flow("build")
        self._programs = Programs(log, self._flow, budget.limits.disk_bytes, has_root=environment.has_root)
        self._sandbox: Sandbox | None = None
        self._limit_monitor: LimitMonitor | None = None
        self._violation: LimitViolation | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def run(self, run: Run, stage_context: StageContext, mounted: ResolvedMounts, cache_bytes: int) -> None:
        """Run a program, with mounts that are unmounted afterwards; raises `StepError` with its exit status."""
        sandbox = await self._started(mounted.mounts, cache_bytes)
        try:
            for source, target in mounted.seeds:
                await self._programs.script(sandbox, _SEED, source, target)
            code = await self._programs.run(sandbox, self._command(sandbox, run.argv, stage_context, mounted.env))
            if code:
                raise StepError(f"exit status {code}")
        finally:
            if mounted.mounts:
                await self._unmount(sandbox)

    async def _unmount(self, sandbox: Sandbox) -> None:
        await self.violation()  # before the sandbox stops, while it can still tell
        await self._stop_monitor()
        await sandbox.stop()
        # The next step must not see them; they are made anew with the mount namespace, when it starts.
        sandbox.mount(())

    async def folder(self, folder: Folder, stage_context: StageContext) -> None:
        """Create a folder."""
        sandbox = await self._started()
        owner = (stage_context.user or "") if self._environment.has_root else ""
        await self._programs.script(sandbox, _MAKE_FOLDER, self._inside(sandbox, folder.path), owner)

    async def write(self, write: Write, stage_context: StageContext) -> None:
        """Write a file, as the account that it should belong to."""
        sandbox = await self._started()
        files = Files(sandbox, "root" if stage_context.user == "root" else "user", self._flow)
        await files.write(write.path, whole(write.content.encode()))

    async def put(self, copy: Copy, archive: Archive | None, selection: Selection) -> None:
        """Copy files into the target folder, or a single file as the target."""
        sandbox = await self._started()
        attributes = replace(await self._attributes(sandbox, copy), unpack=copy.unpack)
        target = self._inside(sandbox, copy.target)
        copy_request = CopyRequest(selection.targets, copy.documents, attributes)
        # One file or one heredoc alone may get the target's name; an archive is unpacked into the target.
        alone = selection.single_file != (len(copy.documents) == 1)
        unpacks = copy.unpack and archive is not None and await _is_archive(archive, selection.targets)
        if alone and not unpacks and not await self._is_folder(sandbox, copy.target, target):
            target, _, name = target.rstrip("/").rpartition("/")
            # The target is then the name, not the folder: what is left of it is the folder above.
            copy_request = replace(
                copy_request,
                targets={name: member for member in copy_request.targets.values()},  # noqa: B035 -- there is one at most
                documents={name: text for text in copy.documents.values()},  # noqa: B035 -- as above
            )
        await self._programs.unpack(sandbox, target or "/", archive, copy_request)

    async def export(self, copy: Copy, file: Path) -> list[Source]:
        """Export the sources of a copy to an archive on this machine; returns their names in it.

        Symbolic links in the path of a source are followed inside the disk.
        """
        if not self._environment.has_root:
            raise StepError("plain processes do not have their own disks to copy from")
        sandbox = await self._started()
        paths, sources = [], []
        for source in copy.sources:
            path = _export_path(source)
            real = path if copy.parents else await self._real(sandbox, path)
            paths.append(real)
            rest = source if copy.parents else f"{real}{clean_path(source)[len(path) :]}"
            sources.append(Source(rest, "" if is_pattern(source) else posixpath.basename(path)))
        code, output = await self._programs.run_to_file(sandbox, ("tar", "-C", "/", "-cf", "-", "--", *paths), file)
        if code:
            raise failure(output or f"tar ended with exit status {code}", output)
        return sources

    async def _real(self, sandbox: Sandbox, path: str) -> str:
        code, output = await self._programs.run_trusted(sandbox, ("readlink", "-e", "--", f"/{path}"))
        if code:
            raise StepError(f"nothing in that stage is called '/{path}'")
        return output.lstrip("/")

    async def freeze(self, layer: str) -> tuple[str, ...]:
        """Stop the sandbox and freeze its disk as a layer."""
        sandbox = self._sandbox or await self._started()
        await self._stop_monitor()
        await sandbox.stop()
        # Counted once more when nothing runs: the monitor looks now and then, and a fast step can write much in
        # between.
        self._budget.disk_used += await sandbox.disk_bytes()
        self._violation = self._violation or disk_violation(self._budget.disk_used, self._budget.limits, _USER)
        self._require_within_limits()
        return await sandbox.snapshot(layer)

    async def violation(self) -> LimitViolation | None:
        """The limit that was exceeded, or None."""
        if self._violation is None and self._limit_monitor is not None:
            self._violation = await self._limit_monitor.memory()
        return self._violation

    async def discard(self) -> None:
        """Destroy the sandbox; layers stay."""
        await self._stop_monitor()
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.destroy()

    async def _started(self, mounts: tuple[SandboxMount, ...] = (), cache_bytes: int = 0) -> Sandbox:
        self._require_within_limits()
        limits, folder = self._budget.limits, str(self._environment.folder)
        if self._sandbox is None:
            name = f"{SANDBOX_PREFIX}{secrets.token_hex(6)}"
            self._sandbox = await self._environment.isolation.create(name, layers=self.base.layers)
            self._sandbox.limit(limits)
        if mounts:
            # Mounts are made when a sandbox starts, in its new mount namespace.
            await self._sandbox.stop()
            self._sandbox.mount(mounts)
        await self._sandbox.start()
        if self._limit_monitor is None:
            before = self._budget.disk_used - cache_bytes
            self._limit_monitor = LimitMonitor(
                self._sandbox, limits, folder, self._stop, user=_USER, disk_before=before
            )
        self._limit_monitor.notice()
        return self._sandbox

    def _stop(self, violation: LimitViolation) -> None:
        """Stop the sandbox for an exceeded limit; the step that waits for its program then finds the violation."""
        self._violation = violation
        if self._sandbox is not None:
            # Not awaited here, as the monitor calls this; `_stop_monitor` waits for it before the sandbox is used
            # again.
            self._stopping = asyncio.create_task(self._sandbox.stop())

    async def _stop_monitor(self) -> None:
        limit_monitor, self._limit_monitor = self._limit_monitor, None
        if limit_monitor is not None:
            limit_monitor.end()
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            await stopping

    def _require_within_limits(self) -> None:
        if self._violation is not None:
            raise StepError(self._violation.sentence)

    def _inside(self, sandbox: Sandbox, path: str) -> str:
        if self._environment.has_root or path == HOME or path.startswith(f"{HOME}/"):
            return sandbox.path(path)
        raise StepError(f"devboxes are plain processes here and have {HOME} only, not {path}")

    def _command(
        self, sandbox: Sandbox, argv: tuple[str, ...], stage_context: StageContext, mounted: Mapping[str, str]
    ) -> Command:
        env = {**stage_context.args, **stage_context.env, **self._request.secrets, **mounted}
        cwd = (
            self._inside(sandbox, stage_context.cwd)
            if stage_context.cwd
            else "/"
            if self._environment.has_root
            else None
        )
        user, _, group = (stage_context.user or "root").partition(":")
        if user in ("root", "0") and not group:
            return Command(argv, "root", cwd, env)
        if user in ("user", "1000") and group in ("", "user", "1000"):
            return Command(argv, "user", cwd, env)
        return Command(("/bin/sh", "-c", _AS_ACCOUNT, "sh", user, group, *argv), "root", cwd, env)

    async def _attributes(self, sandbox: Sandbox, copy: Copy) -> FileAttributes:
        if not copy.owner or not self._environment.has_root:
            return FileAttributes(mode=copy.mode)
        code, output = await self._programs.run_trusted(sandbox, ("/bin/sh", "-c", _OWNER, "sh", copy.owner))
        if code:
            raise StepError(f"--chown={copy.owner}: {output}")
        uid, gid = output.split()
        return FileAttributes(int(uid), int(gid), copy.mode)

    async def _is_folder(self, sandbox: Sandbox, wanted: str, target: str) -> bool:
        if wanted.endswith(("/", "/.")):
            return True
        return (await self._programs.run_trusted(sandbox, ("test", "-d", target)))[0] == 0


async def _is_archive(archive: Archive, targets: Mapping[str, str]) -> bool:
    for name in targets.values():
        if await asyncio.to_thread(archive.is_archive, name):
            return True
    return False


def _context_copy(source: str) -> Copy:
    """A step that copies a path of the build context to a separate disk."""
    return Copy((source.lstrip("/") or ".",), f"{_CONTEXT}/", parents=True)


def _export_path(source: str) -> str:
    """The path to export for a source: itself, or the folder above its pattern."""
    path = clean_path(source)
    while is_pattern(path):
        path = path.rpartition("/")[0]
    if not path:
        raise StepError("the whole disk of another stage cannot be copied: name folders in it")
    return path


def _key(parent: str, step: Step, content: str) -> str:
    # The step's title and line do not count: to move a step in its Dockerfile changes nothing of what it makes.
    made_of = json.dumps(
        [
            parent,
            type(step.action).__name__,
            asdict(step.action) if step.action else None,
            asdict(step.stage_context),
            content,
        ]
    )
    return hashlib.sha256(made_of.encode()).hexdigest()


def machine_key(isolation: Isolation) -> str:
    """The cache key of this machine's userland, which changes with its packages."""
    # Written by each installation: a step that used a newer package must not be found under the older one's key.
    packages = Path("/var/lib/dpkg/status")
    changed = packages.stat().st_mtime_ns if packages.exists() else 0
    return f"{isolation.name} {_system()} {changed}"


def _system() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else os.uname().sysname
