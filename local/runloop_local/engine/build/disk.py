"""The disk that the steps of a stage work on, and the limits that it has to keep."""

from __future__ import annotations

import asyncio
import posixpath
import secrets
from typing import TYPE_CHECKING

import msgspec

from ...sandbox.base import Command, is_image
from ..devbox.files import Files, whole
from ..devbox.limits import LimitMonitor, LimitViolation, disk_violation
from ..storage.archive import Archive, CopyRequest, FileAttributes
from .patterns import Selection, Source, is_pattern
from .patterns import clean as clean_path
from .plan import HOME, Copy, Folder, Furnish, Run, StageContext, Write
from .programs import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...sandbox.base import Isolation, Limits, Sandbox
    from ...sandbox.base import Mount as SandboxMount
    from ..fair_queue import FairQueue
    from ..network.policies import EgressRules
    from ..storage.layers import Layers
    from ..storage.store import Store
    from .base import Base
    from .cache import BuildCache
    from .cache_mounts import CacheMounts
    from .log import BuildLog
    from .mounts import ResolvedMounts

SANDBOX_PREFIX = "build-"
_USER = "The build"
"""The subject of sentences about exceeded limits."""
_ACCOUNTS = {"0": "root", "1000": "user", "user:user": "user", "user:1000": "user", "1000:1000": "user"}
"""Other names of the accounts that every devbox has."""
_SEED = 'cp -a -- "$1/." "$2/"'


class StepError(Exception):
    """A step failed; the text is part of a sentence."""


class BuildEnvironment(msgspec.Struct, frozen=True):
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


class Budget(msgspec.Struct):
    """The limits of a build, and the disk space that its steps have used so far."""

    limits: Limits
    disk_used: int = 0


class BuildDisk:
    """The disk of the current stage; its sandbox is created when a step needs one."""

    def __init__(
        self, environment: BuildEnvironment, secrets: Mapping[str, str], log: BuildLog, base: Base, budget: Budget
    ) -> None:
        self.base = base
        self._environment = environment
        self._secrets = secrets
        self._budget = budget
        self._flow = environment.fair_queue.flow("build")
        self._programs = Programs(log, self._flow, budget.limits.disk_bytes)
        self._sandbox: Sandbox | None = None
        self._limit_monitor: LimitMonitor | None = None
        self._violation: LimitViolation | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._working_folder = ""
        """One that exists."""
        self._has_names = False
        self._rules: EgressRules | None = None

    def restrict(self, rules: EgressRules | None) -> None:
        """Restrict the connections of programs that it runs; None allows all."""
        self._rules = rules

    async def run(self, run: Run, stage_context: StageContext, mounted: ResolvedMounts, cache_bytes: int) -> None:
        """Run a program, with mounts that are unmounted afterwards; raises `StepError` with its exit status."""
        sandbox = await self._started(mounted.mounts, cache_bytes)
        try:
            await self._furnish_names(sandbox)
            await self._make_working_folder(sandbox, stage_context.cwd)
            for source, target in mounted.seeds:
                await self._programs.script(sandbox, _SEED, source, target)
            account = await self._account(sandbox, stage_context.user or "root")
            code = await self._programs.run(
                sandbox, self._command(sandbox, run.argv, stage_context, mounted.env, account)
            )
            if code:
                raise StepError(f"exit status {code}")
        finally:
            if mounted.mounts:
                await self._unmount(sandbox)

    async def _furnish_names(self, sandbox: Sandbox) -> None:
        """Let programs of an image look names up before its disk has all that devboxes have."""
        if not self._has_names and is_image(self.base.layers):
            await self._programs.tool(sandbox, "furnish-names")
            self._has_names = True

    async def _make_working_folder(self, sandbox: Sandbox, path: str | None) -> None:
        """Create the folder that an image names as its own, as a container engine does."""
        if path is not None and path != self._working_folder and self._environment.has_root:
            await self._programs.tool(sandbox, "make-folder", path, "")
            self._working_folder = path

    async def _account(self, sandbox: Sandbox, name: str) -> str:
        """The account of a step: the one that every devbox has, or an image's own of the same name or number."""
        account = _ACCOUNTS.get(name, name)
        if account != "user" or not is_image(self.base.layers):
            return account
        code, _ = await self._programs.try_tool(sandbox, "has-user")
        if not code or name != account:
            return name if code else account
        code, output = await self._programs.try_tool(sandbox, "owner", name)
        if code:
            raise StepError(output)
        return output.split()[0]

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
        await self._programs.tool(sandbox, "make-folder", self._inside(sandbox, folder.path), owner)

    async def write(self, write: Write, stage_context: StageContext) -> None:
        """Write a file, as the account that it should belong to."""
        sandbox = await self._started()
        files = Files(sandbox, "root" if stage_context.user == "root" else "user", self._flow)
        await files.write(write.path, whole(write.content.encode()))

    async def furnish(self, furnish: Furnish) -> str:
        """Add what devboxes have; returns what that was, in a line each."""
        return await self._programs.tool(await self._started(), "furnish", furnish.path, furnish.folder)

    async def put(self, copy: Copy, archive: Archive | None, selection: Selection) -> None:
        """Copy files into the target folder, or a single file as the target."""
        sandbox = await self._started()
        attributes = msgspec.structs.replace(await self._attributes(sandbox, copy), unpack=copy.unpack)
        target = self._inside(sandbox, copy.target)
        copy_request = CopyRequest(selection.targets, copy.documents, attributes)
        # One file or one heredoc alone may get the target's name; an archive is unpacked into the target.
        alone = selection.single_file != (len(copy.documents) == 1)
        unpacks = copy.unpack and archive is not None and await _is_archive(archive, selection.targets)
        if alone and not unpacks and not await self._is_folder(sandbox, copy.target, target):
            target, _, name = target.rstrip("/").rpartition("/")
            # The target is then the name, not the folder: what is left of it is the folder above.
            copy_request = msgspec.structs.replace(
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
        await self._programs.pack(sandbox, paths, file)
        return sources

    async def _real(self, sandbox: Sandbox, path: str) -> str:
        code, output = await self._programs.try_tool(sandbox, "resolve", f"/{path}")
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
            self._sandbox.restrict(None if self._rules is None else self._rules.allows)
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
        self,
        sandbox: Sandbox,
        argv: tuple[str, ...],
        stage_context: StageContext,
        mounted: Mapping[str, str],
        account: str,
    ) -> Command:
        env = {**stage_context.args, **stage_context.env, **self._secrets, **mounted}
        cwd = (
            self._inside(sandbox, stage_context.cwd)
            if stage_context.cwd
            else "/"
            if self._environment.has_root
            else None
        )
        return Command(argv, account, cwd, env)

    async def _attributes(self, sandbox: Sandbox, copy: Copy) -> FileAttributes:
        if not copy.owner or not self._environment.has_root:
            return FileAttributes(mode=copy.mode)
        code, output = await self._programs.try_tool(sandbox, "owner", copy.owner)
        if code:
            raise StepError(f"--chown={copy.owner}: {output}")
        uid, gid = output.split()
        return FileAttributes(int(uid), int(gid), copy.mode)

    async def _is_folder(self, sandbox: Sandbox, wanted: str, target: str) -> bool:
        if wanted.endswith(("/", "/.")):
            return True
        return (await self._programs.try_tool(sandbox, "is-folder", target))[0] == 0


async def _is_archive(archive: Archive, targets: Mapping[str, str]) -> bool:
    for name in targets.values():
        if await asyncio.to_thread(archive.is_archive, name):
            return True
    return False


def _export_path(source: str) -> str:
    """The path to export for a source: itself, or the folder above its pattern."""
    path = clean_path(source)
    while is_pattern(path):
        path = path.rpartition("/")[0]
    if not path:
        raise StepError("the whole disk of another stage cannot be copied: name folders in it")
    return path
