"""Carries out the steps of a build, each on the frozen disk of the one before."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..sandbox.base import Command, SandboxError
from .archive import Archive, Parcel, Style, send_alone
from .errors import EngineError
from .execution import settle
from .files import Files, whole
from .ids import now_ms
from .patterns import Ignore, ignore_rules, is_pattern, select
from .patterns import clean as clean_path
from .pipes import PipeReader, close_all, open_pipe
from .plan import HOME, Copy, Folder, Run, Write, needed
from .store import Document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..sandbox.base import Isolation, Sandbox
    from .build_log import BuildLog
    from .layers import Layers
    from .plan import Action, Setting, Stage, Step
    from .store import Store

SANDBOX_PREFIX = "build-"
KEEP_STEPS_MS = 7 * 24 * 3600 * 1000
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
_UNPACK = 'mkdir -p -- "$1" && exec tar -xp $2 -C "$1" -f -'
_KEEPING = "--no-overwrite-dir --keep-directory-symlink"
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
    """A step cannot be done: half a sentence."""


class BuildError(Exception):
    """The build has failed: one sentence that names the step."""


@dataclass(frozen=True, slots=True)
class Base:
    """A disk to build on."""

    layers: tuple[str, ...] = ()
    key: str = ""
    """What it was made of: equal keys, equal disks."""


@dataclass(frozen=True, slots=True)
class Job:
    """A whole build."""

    stages: tuple[Stage, ...]
    bases: Mapping[str, Base] = field(default_factory=dict)
    """The blueprints that FROM and COPY --from name."""
    base: Base | None = None
    """What stands in for FROM."""
    context: Archive | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Further words that the log must not show."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all builds of a service use."""

    isolation: Isolation
    store: Store
    layers: Layers
    folder: Path
    """For files that live as long as a step."""

    @property
    def has_root(self) -> bool:
        """Whether disks have places outside the home folder, and accounts."""
        return self.isolation.name == "namespaces"


class Build:
    """One build under way."""

    def __init__(self, shop: Workshop, job: Job, log: BuildLog) -> None:
        self._shop = shop
        self._job = job
        self._log = log
        self._built: dict[int, Base] = {}
        self._names: dict[str, bool] | None = None
        self._pins = ExitStack()

    async def run(self) -> Base:
        """The disk of the last stage; `BuildError` where a step fails. Pinned until `close`."""
        stages = {number: self._job.stages[number] for number in sorted(needed(self._job.stages))}
        total = sum(len(stage.steps) for stage in stages.values())
        done = 0
        for number, stage in stages.items():
            disk = _Disk(self._shop, self._job, self._log, self._start(stage))
            try:
                for step in stage.steps:
                    done += 1
                    self._log.write(f"Step {done}/{total} : {step.title}")
                    await self._guarded(disk, step)
            finally:
                await disk.discard()
            self._built[number] = disk.base
        return self._built[len(self._job.stages) - 1]

    def close(self) -> None:
        """Nothing more needs the layers."""
        self._pins.close()

    def _start(self, stage: Stage) -> Base:
        if stage.base is None:
            return self._job.base or Base(key=machine_key(self._shop.isolation))
        if isinstance(stage.base, int):
            return self._built[stage.base]
        known = self._job.bases.get(stage.base)
        if known is not None:
            return known
        self._log.write(
            f"There is no Docker engine here: instead of {stage.base}, this build starts from this machine's own "
            f"userland ({_system()}).",
            "warn",
        )
        return Base(key=machine_key(self._shop.isolation))

    async def _guarded(self, disk: _Disk, step: Step) -> None:
        try:
            await self._step(disk, step)
        except (StepError, SandboxError, EngineError, ValueError) as error:
            place = "" if step.line is None else f"Dockerfile line {step.line}: "
            sentence = f"{place}{step.title[:200]}: {error}".rstrip(".")
            raise BuildError(f"{sentence}.") from error

    async def _step(self, disk: _Disk, step: Step) -> None:
        if step.note is not None:
            self._log.write(step.note, "warn")
        if step.action is None:
            return
        key = _key(disk.base.key, step, await self._content_key(step.action))
        cached = await self._cached(key, step.action)
        if cached is not None:
            self._log.write("cached")
            await disk.discard()
            disk.base = cached
        else:
            await self._perform(disk, step)
            await self._freeze(disk, key)

    async def _cached(self, key: str, action: Action) -> Base | None:
        if isinstance(action, Run) and not action.cached:
            return None
        body = await self._shop.store.get("build_step", key)
        if body is None or not self._shop.layers.exist(body["layers"]):
            return None
        base = Base(tuple(body["layers"]), key)
        self._pins.enter_context(self._shop.layers.held(base.layers))
        if body["used_ms"] < now_ms() - KEEP_STEPS_MS // 7:
            await self._shop.store.put(step_document(base))
        return base

    async def _freeze(self, disk: _Disk, key: str) -> None:
        layer = self._shop.layers.fresh()
        self._pins.enter_context(self._shop.layers.held([layer]))
        disk.base = Base(await disk.freeze(layer), key)
        await self._shop.store.put(step_document(disk.base))

    async def _perform(self, disk: _Disk, step: Step) -> None:
        match step.action:
            case Run():
                await disk.run(step.action, step.setting)
            case Folder():
                await disk.folder(step.action, step.setting)
            case Write():
                await disk.write(step.action, step.setting)
            case Copy():
                await self._copy(disk, step.action)

    async def _content_key(self, action: Action) -> str:
        """What a step depends on besides its words."""
        if not isinstance(action, Copy):
            return ""
        if action.stage is not None:
            return self._other(action.stage).key
        if not action.sources:
            return ""
        selection = select(await self._context_names(action), action.sources)
        return await asyncio.to_thread(self._context().digest, selection.targets)

    def _context(self) -> Archive:
        if self._job.context is None:
            raise StepError("the build has no context: give it build_context, an object with a tar archive")
        return self._job.context

    async def _context_names(self, action: Copy) -> dict[str, bool]:
        context = self._context()
        if self._names is None:
            rules = ignore_rules(await asyncio.to_thread(context.text, ".dockerignore"))
            self._names = _without(await asyncio.to_thread(context.names), rules)
        return _without(self._names, ignore_rules("\n".join(action.exclude)))

    def _other(self, stage: int | str) -> Base:
        if isinstance(stage, int):
            return self._built[stage]
        if stage not in self._job.bases:
            raise StepError(f"no stage or blueprint is called {stage!r}")
        return self._job.bases[stage]

    async def _copy(self, disk: _Disk, copy: Copy) -> None:
        if copy.stage is not None:
            async with self._exported(copy) as archive:
                names = _without(await asyncio.to_thread(archive.names), ignore_rules("\n".join(copy.exclude)))
                await disk.put(copy, archive, names)
        elif copy.sources:
            await disk.put(copy, self._context(), await self._context_names(copy))
        else:
            await disk.put(copy, None, {})

    @asynccontextmanager
    async def _exported(self, copy: Copy) -> AsyncIterator[Archive]:
        """What COPY --from takes, as an archive."""
        assert copy.stage is not None
        other = _Disk(self._shop, self._job, self._log, self._other(copy.stage))
        file = self._shop.folder / f"export-{secrets.token_hex(6)}"
        try:
            await other.export([_folder_of(source) for source in copy.sources], file)
            yield Archive(file)
        finally:
            await other.discard()
            file.unlink(missing_ok=True)


class _Disk:
    """The disk of the stage that is being built; a sandbox is made once a step needs one."""

    def __init__(self, shop: Workshop, job: Job, log: BuildLog, base: Base) -> None:
        self.base = base
        self._shop = shop
        self._job = job
        self._log = log
        self._sandbox: Sandbox | None = None

    async def run(self, run: Run, setting: Setting) -> None:
        """Run a program; `StepError` with its exit status."""
        sandbox = await self._started()
        code = await self._program(sandbox, self._command(sandbox, run.argv, setting))
        if code:
            raise StepError(f"exit status {code}")

    async def folder(self, folder: Folder, setting: Setting) -> None:
        """Make a folder."""
        sandbox = await self._started()
        owner = (setting.user or "") if self._shop.has_root else ""
        await self._script(sandbox, _MAKE_FOLDER, self._inside(sandbox, folder.path), owner)

    async def write(self, write: Write, setting: Setting) -> None:
        """Write a file as the account that it should belong to."""
        sandbox = await self._started()
        await Files(sandbox, "root" if setting.user == "root" else "user").write(
            write.path, whole(write.content.encode())
        )

    async def put(self, copy: Copy, archive: Archive | None, names: dict[str, bool]) -> None:
        """Put files down below the target, or as the target."""
        sandbox = await self._started()
        selection = select(names, copy.sources)
        style = replace(await self._style(sandbox, copy), unpack=copy.unpack)
        target = self._inside(sandbox, copy.target)
        parcel = Parcel(selection.targets, copy.documents, style)
        alone = selection.single_file != (len(copy.documents) == 1)
        unpacks = copy.unpack and archive is not None and await _is_archive(archive, selection.targets)
        if alone and not unpacks and not await self._is_folder(sandbox, copy.target, target):
            target, _, name = target.rstrip("/").rpartition("/")
            parcel = replace(
                parcel,
                targets=dict.fromkeys(parcel.targets, name),
                documents={name: text for text in copy.documents.values()},  # noqa: B035 -- there is one at most
            )
        await self._unpack(sandbox, target or "/", archive, parcel)

    async def export(self, paths: list[str], file: Path) -> None:
        """Write these paths, relative to the root, to an archive on this machine."""
        if not self._shop.has_root:
            raise StepError("plain processes have no disks of their own to copy from")
        sandbox = await self._started()
        with file.open("wb") as sink:
            code, said = await self._quiet(sandbox, ("tar", "-C", "/", "-cf", "-", "--", *paths), stdout=sink.fileno())
        if code:
            raise StepError(said or f"tar ended with exit status {code}")

    async def freeze(self, layer: str) -> tuple[str, ...]:
        """End what still runs, and keep the disk as a layer."""
        assert self._sandbox is not None
        await self._sandbox.stop()
        return await self._sandbox.snapshot(layer)

    async def discard(self) -> None:
        """Remove the sandbox; layers stay."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.destroy()

    async def _started(self) -> Sandbox:
        if self._sandbox is None:
            name = f"{SANDBOX_PREFIX}{secrets.token_hex(6)}"
            self._sandbox = await self._shop.isolation.create(name, layers=self.base.layers)
        await self._sandbox.start()
        return self._sandbox

    def _inside(self, sandbox: Sandbox, path: str) -> str:
        if self._shop.has_root or path == HOME or path.startswith(f"{HOME}/"):
            return sandbox.path(path)
        raise StepError(f"devboxes are plain processes here and have {HOME} only, not {path}")

    def _command(self, sandbox: Sandbox, argv: tuple[str, ...], setting: Setting) -> Command:
        env = {**setting.args, **setting.env, **self._job.secrets}
        cwd = self._inside(sandbox, setting.cwd) if setting.cwd else "/" if self._shop.has_root else None
        user, _, group = (setting.user or "root").partition(":")
        if user in ("root", "0") and not group:
            return Command(argv, "root", cwd, env)
        if user in ("user", "1000") and group in ("", "user", "1000"):
            return Command(argv, "user", cwd, env)
        return Command(("/bin/sh", "-c", _AS_ACCOUNT, "sh", user, group, *argv), "root", cwd, env)

    async def _program(self, sandbox: Sandbox, command: Command) -> int:
        """Run a program to its end; what it prints goes to the log."""
        read, write = open_pipe()
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        reader = PipeReader(read, self._log.output)
        try:
            try:
                process = await sandbox.spawn(command, stdin=nothing, stdout=write, stderr=write)
            finally:
                close_all(write, nothing)
            code = await process.wait()
            await settle([reader])
        finally:
            reader.close()
            self._log.end_output()
        return code

    async def _script(self, sandbox: Sandbox, script: str, *arguments: str) -> None:
        code, said = await self._quiet(sandbox, ("/bin/sh", "-c", script, "sh", *arguments))
        if code:
            raise StepError(said or f"exit status {code}")

    async def _quiet(
        self, sandbox: Sandbox, argv: tuple[str, ...], *, stdin: int = -1, stdout: int = -1
    ) -> tuple[int, str]:
        """Run a program of ours as root; its exit status and the beginning of what it said. Closes `stdin`."""
        said = bytearray()
        read, write = open_pipe()
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        reader = PipeReader(read, lambda data: said.extend(data[: max(0, 4096 - len(said))]))
        try:
            try:
                process = await sandbox.spawn(
                    Command(argv, "root"),
                    stdin=stdin if stdin >= 0 else nothing,
                    stdout=stdout if stdout >= 0 else write,
                    stderr=write,
                )
            finally:
                close_all(write, nothing, stdin)
            code = await process.wait()
            await settle([reader])
        finally:
            reader.close()
        return code, said.decode("utf-8", "replace").strip()

    async def _style(self, sandbox: Sandbox, copy: Copy) -> Style:
        if not copy.owner or not self._shop.has_root:
            return Style(mode=copy.mode)
        code, said = await self._quiet(sandbox, ("/bin/sh", "-c", _OWNER, "sh", copy.owner))
        if code:
            raise StepError(f"--chown={copy.owner}: {said}")
        uid, gid = said.split()
        return Style(int(uid), int(gid), copy.mode)

    async def _is_folder(self, sandbox: Sandbox, wanted: str, target: str) -> bool:
        if wanted.endswith(("/", "/.")):
            return True
        return (await self._quiet(sandbox, ("test", "-d", target)))[0] == 0

    async def _unpack(self, sandbox: Sandbox, target: str, archive: Archive | None, parcel: Parcel) -> None:
        """Send files through a pipe to a program that unpacks them inside, where no link leads out."""
        read, write = os.pipe()
        argv = ("/bin/sh", "-c", _UNPACK, "sh", target, _KEEPING if self._shop.has_root else "")
        unpacking = asyncio.create_task(self._quiet(sandbox, argv, stdin=read))
        try:
            await asyncio.to_thread(_send, archive, parcel, os.fdopen(write, "wb"))
        finally:
            code, said = await unpacking
        if code:
            raise StepError(said or f"tar ended with exit status {code}")


def _send(archive: Archive | None, parcel: Parcel, sink: IO[bytes]) -> None:
    try:
        with sink:
            if archive is None:
                send_alone(parcel, sink)
            else:
                archive.send(parcel, sink)
    except BrokenPipeError:
        return  # the program that unpacks has ended, and says why


async def _is_archive(archive: Archive, targets: Mapping[str, str]) -> bool:
    for name in targets:
        if await asyncio.to_thread(archive.is_archive, name):
            return True
    return False


def _without(names: dict[str, bool], ignore: Ignore) -> dict[str, bool]:
    return {name: is_folder for name, is_folder in names.items() if not ignore(name)} if ignore.rules else names


def _folder_of(source: str) -> str:
    """The path to copy out for a source: itself, or the folder in which its pattern begins."""
    path = clean_path(source)
    while is_pattern(path):
        path = path.rpartition("/")[0]
    if not path:
        raise StepError("the whole disk of another stage cannot be copied: name folders in it")
    return path


def _key(parent: str, step: Step, content: str) -> str:
    made_of = json.dumps(
        [
            parent,
            type(step.action).__name__,
            asdict(step.action) if step.action else None,
            asdict(step.setting),
            content,
        ]
    )
    return hashlib.sha256(made_of.encode()).hexdigest()


def step_document(base: Base) -> Document:
    """A step's outcome as the store keeps it."""
    return Document("build_step", base.key, {"layers": base.layers, "used_ms": now_ms()}, time_ms=now_ms())


def machine_key(isolation: Isolation) -> str:
    """What this machine's userland is: another one after its packages have changed."""
    packages = Path("/var/lib/dpkg/status")
    changed = packages.stat().st_mtime_ns if packages.exists() else 0
    return f"{isolation.name} {_system()} {changed}"


def _system() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else os.uname().sysname
