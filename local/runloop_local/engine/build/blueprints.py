"""Blueprints: disks that are built once, and from which devboxes start."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ...sandbox.base import SandboxError
from ..devbox.limits import BUILD, size_of
from ..errors import EngineError, InvalidError, NotFoundError, is_disk_full, of_machine
from ..ids import new_id, now_ms
from ..storage.clearing import Clearing
from ..storage.record_set import RecordSet
from ..storage.records import Record, body_of, loader
from ..storage.store import Document, Query
from .builder import SANDBOX_PREFIX, Base, Build, BuildError, BuildRequest
from .dockerfile import error_at
from .image import Image
from .plan import Stage, outside_names, plan, secrets_of
from .setup_script import setup_steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ..storage.idempotency import Attempt
    from ..storage.store import Page
    from .builder import BuildEnvironment
    from .dockerfile import Instruction
    from .log import BuildLog, BuildLogs
    from .setup_script import Setup

    ContextFile = Callable[[str], Awaitable[Path]]
    """Finds the archive of a build context by its object's id; raises `NotFoundError` or `InvalidError`."""
    SecretValues = Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
    """Returns the values of secrets by environment variable."""

BlueprintStatus = Literal["queued", "provisioning", "building", "failed", "build_complete"]
IN_PROGRESS: tuple[BlueprintStatus, ...] = ("queued", "provisioning", "building")
BUILDS_AT_ONCE = 2
_BLUEPRINT_REASONS = ("out_of_memory", "out_of_disk")
"""The failure reasons of devboxes that the API also has for blueprints."""


@dataclass(frozen=True, slots=True)
class BlueprintRequest:
    """A request to build a blueprint."""

    name: str
    parameters: Mapping[str, Any]
    """The request as it is shown, without tokens and passwords."""
    instructions: tuple[Instruction, ...] = ()
    setup: Setup | None = None
    base_id: str | None = None
    base_name: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    context_id: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The names of secrets by environment variable of the build."""


@dataclass(frozen=True, slots=True)
class BlueprintRecord(Record):
    """The stored fields of a blueprint, without its disk and its log."""

    id: str
    create_time_ms: int
    name: str
    parameters: Mapping[str, Any]
    status: BlueprintStatus = "queued"
    deleted: bool = False
    base_blueprint_id: str | None = None
    finish_time_ms: int | None = None
    failure_reason: str | None = None
    layers: tuple[str, ...] = ()
    key: str = ""
    image: Image = field(default_factory=Image)

    @property
    def launch_parameters(self) -> dict[str, Any]:
        """The default launch parameters of devboxes from it."""
        return self.parameters.get("launch_parameters") or {}


@dataclass(frozen=True, slots=True)
class Sources:
    """The data that builds get from other parts of the service."""

    context: ContextFile
    secrets: SecretValues


class Blueprints:
    """All blueprints of this machine."""

    def __init__(self, environment: BuildEnvironment, sources: Sources, login_shell: str, logs: BuildLogs) -> None:
        self._environment = environment
        self._store = environment.store
        self._records = RecordSet(environment.store, "blueprint", loaded, document)
        self._preparation = _Preparation(self, environment, sources, login_shell)
        self._logs = logs
        self._semaphore = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._clearing = Clearing(environment.store.notes)

    async def restore(self) -> None:
        """Fail builds that the last run of the service did not finish, and clean up what they have left on disk."""
        await asyncio.to_thread(_empty, self._environment.folder)
        for record in await self._store.records("blueprint", loaded, status="build_complete"):
            self._environment.layers.hold(_holder(record.id), record.layers)
        for status in IN_PROGRESS:
            for record in await self._store.records("blueprint", loaded, status=status):
                await self._clearing.attempt(f"Blueprint {record.id}", self._end(record))
        await self._logs.load()
        left = [name for name in self._environment.isolation.sandboxes() if name.startswith(SANDBOX_PREFIX)]
        self._clearing.begin("The disks of unfinished builds", self._clear_away(left))

    async def create(self, request: BlueprintRequest, attempt: Attempt) -> BlueprintRecord:
        """Create a blueprint and start its build, or return the one that an earlier attempt has created."""
        if attempt.made is not None:
            return await self.get(attempt.made)
        # The lock spans the look-up of base disks and the holding of their layers, so that none is removed in between.
        async with self._environment.layers.choosing:
            record, build_request = await self._preparation.prepare(request)
            held = self._environment.layers.held([layer for base in _bases(build_request) for layer in base.layers])
            held.__enter__()  # by hand, as the layers are held until the task ends, not this call
        try:
            self._log(record.id).close()  # creates it, so that it can be read from now on
            await self._records.put(record, *attempt.note(record.id))
        except BaseException:
            held.__exit__(None, None, None)
            raise
        self._tasks[record.id] = task = asyncio.create_task(self._run(record, build_request))
        task.add_done_callback(lambda _task: held.__exit__(None, None, None))
        task.add_done_callback(lambda _task: self._forget_task(record.id))
        return record

    async def get(self, blueprint_id: str) -> BlueprintRecord:
        """The blueprint of this id, even if deleted; raises `NotFoundError` if it never existed."""
        is_in_progress = blueprint_id in self._tasks  # first, as its outcome is stored before it is removed there
        record = await self._records.get(blueprint_id)
        return record if is_in_progress or record.status not in IN_PROGRESS else _failed(record)

    async def built(self, blueprint_id: str | None, name: str | None) -> BlueprintRecord:
        """The built blueprint of this id, or the latest of this name; raises `NotFoundError` or `InvalidError`."""
        if blueprint_id is None:
            return await self._latest(name or "")
        record = await self.get(blueprint_id)
        if record.deleted:
            raise NotFoundError(f"Blueprint {blueprint_id} has been deleted.")
        if record.status != "build_complete":
            raise InvalidError(f"Blueprint {blueprint_id} is {record.status}; only a built one can be used.")
        return record

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def logs(self, blueprint_id: str) -> str:
        """The log of its build so far, as the elements of a JSON list."""
        await self.get(blueprint_id)
        return await self._logs.read(blueprint_id)

    async def delete(self, blueprint_id: str) -> None:
        """Delete it, cancelling its build; raises `InvalidError` while snapshots depend on it."""
        record = await self.get(blueprint_id)
        await self._require_no_snapshots(record)
        task = self._tasks.get(blueprint_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._records.change(blueprint_id, _deleted, urgent=True)
        self._environment.layers.release(_holder(blueprint_id))

    async def aclose(self) -> None:
        """Cancel the builds in progress; the next run of the service fails them."""
        await self._clearing.aclose()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _end(self, record: BlueprintRecord) -> None:
        await self._records.change(record.id, _failed, urgent=True)
        with self._log(record.id) as log:
            log.write("The build ended early: the service was restarted.", "error")

    async def _clear_away(self, left: list[str]) -> None:
        """Remove disks of unfinished builds."""
        for name in left:
            await self._clearing.attempt(f"The disk {name}", self._remove_disk(name))

    async def _remove_disk(self, name: str) -> None:
        await (await self._environment.isolation.create(name)).destroy()

    async def _latest(self, name: str) -> BlueprintRecord:
        found = await self._store.records("blueprint", loaded, limit=1, name=name, status="build_complete")
        if not found:
            raise NotFoundError(f"No blueprint called {name!r} has been built.")
        return found[0]

    async def _require_no_snapshots(self, record: BlueprintRecord) -> None:
        query = Query("snapshot", limit=0, fields={"source_blueprint_id": record.id})
        count = (await self._store.page(query)).total_count
        if count:
            raise InvalidError(f"{count} snapshots depend on blueprint {record.id}: delete them first.")

    async def _run(self, record: BlueprintRecord, build_request: BuildRequest) -> None:
        async with self._semaphore:
            with self._log(record.id, build_request) as log:
                await self._build(record, build_request, log)

    def _forget_task(self, blueprint_id: str) -> None:
        del self._tasks[blueprint_id]
        self._logs.end(blueprint_id)

    async def _build(self, record: BlueprintRecord, build_request: BuildRequest, log: BuildLog) -> None:
        build = Build(self._environment, build_request, log)
        try:
            await self._records.change(record.id, lambda now: replace(now, status="building"))
            if not self._environment.has_root:
                log.write("Devboxes are plain processes here: the build has no root, and /home/user only.", "warn")
            base = await build.run()
            image = replace(build_request.stages[-1].image(), blueprint_id=record.id)
            log.write(f"Blueprint {record.name} is built.")
            self._environment.layers.hold(_holder(record.id), base.layers)
            await self._records.change(record.id, lambda now: _built(now, base, image))
        except (BuildError, SandboxError, EngineError, OSError, RuntimeError) as error:
            await self._fail(record.id, error, log)
        finally:
            build.close()

    async def _fail(self, blueprint_id: str, error: Exception, log: BuildLog) -> None:
        passed = error.reason if isinstance(error, BuildError) else None
        reason = passed if passed in _BLUEPRINT_REASONS else "out_of_disk" if is_disk_full(error) else "build_failed"
        self._environment.layers.release(_holder(blueprint_id))
        # Both may fail on a full disk: `get` reports a build without a task as failed anyway.
        with suppress(EngineError):
            await self._records.change(blueprint_id, lambda now: _failed(now, reason), urgent=True)
        with suppress(OSError):
            log.write(str(of_machine(error) or error), "error")

    def _log(self, blueprint_id: str, build_request: BuildRequest | None = None) -> BuildLog:
        hidden = (
            ()
            if build_request is None
            else (*build_request.secrets.values(), *build_request.mounted.values(), *build_request.hidden)
        )
        return self._logs.write(blueprint_id, hidden)


class _Preparation:
    """Looks up everything that a build needs, so that the request fails at once if something is missing."""

    def __init__(
        self, blueprints: Blueprints, environment: BuildEnvironment, sources: Sources, login_shell: str
    ) -> None:
        self._blueprints = blueprints
        self._environment = environment
        self._sources = sources
        self._login_shell = login_shell

    async def prepare(self, request: BlueprintRequest) -> tuple[BlueprintRecord, BuildRequest]:
        """A new blueprint and its build; raises `EngineError` if something that they need is missing."""
        named = request.base_id or request.base_name
        base = await self._blueprints.built(request.base_id, request.base_name) if named else None
        names = (
            set()
            if base
            else outside_names(request.instructions, request.build_args)
            if request.instructions
            else set()
        )
        others = {name: found for name in names if (found := await self._blueprint_named(name)) is not None}
        image = base.image if base else None if request.instructions else Image()
        stages = plan(
            request.instructions, request.build_args, {name: other.image for name, other in others.items()}, image
        )
        context = None if request.context_id is None else await self._sources.context(request.context_id)
        record = BlueprintRecord(
            id=new_id("bpt"),
            create_time_ms=now_ms(),
            name=request.name,
            parameters=request.parameters,
            base_blueprint_id=base.id if base else None,
        )
        build_request = BuildRequest(
            self._with_setup(stages, request),
            {name: Base(other.layers, other.key) for name, other in others.items()},
            Base(base.layers, base.key) if base else None,
            context,
            size_of(record.launch_parameters).at_least(BUILD),
            await self._sources.secrets(request.secrets),
            await self._mounted_secrets(stages, request),
            tuple(word for mount in (request.setup.code if request.setup else ()) for word in mount.hidden),
        )
        return record, build_request

    async def _mounted_secrets(self, stages: tuple[Stage, ...], request: BlueprintRequest) -> dict[str, str]:
        """The values of secrets that steps mount, by id: those mapped in the request, else those of that name."""
        found: dict[str, str] = {}
        for step, secret in secrets_of(stages):
            name = request.secrets.get(secret.id, secret.id)
            try:
                found |= await self._sources.secrets({secret.id: name})
            except NotFoundError as error:
                if secret.required:
                    sentence = f"RUN: the secret {secret.id} is required: {error} Create one, or name it in secrets."
                    raise error_at(step.line, sentence) from error
        return found

    async def _blueprint_named(self, name: str) -> BlueprintRecord | None:
        """The blueprint that FROM names, or None; the tag `:latest` of Docker images is ignored."""
        try:
            return await self._blueprints.built(None, name.removesuffix(":latest"))
        except NotFoundError:
            return None

    def _with_setup(self, stages: tuple[Stage, ...], request: BlueprintRequest) -> tuple[Stage, ...]:
        has_root = self._environment.has_root
        added = setup_steps(request.setup, stages[-1].stage_context, self._login_shell, has_root=has_root)
        return (*stages[:-1], replace(stages[-1], steps=(*stages[-1].steps, *added)))


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _holder(blueprint_id: str) -> str:
    return f"blueprint/{blueprint_id}"


def _bases(build_request: BuildRequest) -> list[Base]:
    return [*build_request.bases.values(), *([] if build_request.base is None else [build_request.base])]


def _built(record: BlueprintRecord, base: Base, image: Image) -> BlueprintRecord:
    return replace(
        record,
        status="build_complete",
        finish_time_ms=now_ms(record.create_time_ms),
        layers=base.layers,
        key=base.key,
        image=image,
    )


def _failed(record: BlueprintRecord, reason: str = "build_failed") -> BlueprintRecord:
    end = now_ms(record.create_time_ms)
    return replace(record, status="failed", failure_reason=reason, finish_time_ms=end)


def _deleted(record: BlueprintRecord) -> BlueprintRecord:
    ended = _failed(record) if record.status in IN_PROGRESS else record
    return replace(ended, deleted=True, layers=())


def document(record: BlueprintRecord) -> Document:
    """The stored form of a blueprint."""
    return Document(
        "blueprint",
        record.id,
        body_of(record),
        status="deleted" if record.deleted else record.status,
        name=record.name,
        time_ms=record.create_time_ms,
        view=json.dumps(blueprint_view(record), ensure_ascii=False),
        listed=not record.deleted,
    )


loaded = loader(BlueprintRecord)
"""Load a record from its stored form; raises `ValueError` if that is invalid."""


def blueprint_view(record: BlueprintRecord) -> dict[str, Any]:
    """`BlueprintView`."""
    return {
        "id": record.id,
        "create_time_ms": record.create_time_ms,
        "name": record.name,
        "parameters": dict(record.parameters),
        "state": "deleted" if record.deleted else "created",
        "status": record.status,
        "base_blueprint_id": record.base_blueprint_id,
        "build_finish_time_ms": record.finish_time_ms,
        "containerized_services": record.parameters.get("services"),
        "devbox_capabilities": [],
        "failure_reason": record.failure_reason,
        "is_public": False,
        "metadata": record.parameters.get("metadata") or {},
    }
