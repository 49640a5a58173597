"""Blueprints: disks that were built, for devboxes to start from."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ..sandbox.base import SandboxError
from .archive import Archive
from .blueprint_setup import setup_steps
from .build import KEEP_STEPS_MS, SANDBOX_PREFIX, Base, Build, BuildError, Job
from .build_log import BuildLog, read_log
from .errors import EngineError, InvalidError, NotFoundError, is_disk_full, of_machine
from .ids import new_id, now_ms
from .image import Image
from .image import loaded as loaded_image
from .plan import Stage, outside_names, plan
from .requests import Requests
from .snapshots import HIDDEN
from .store import Document, Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .blueprint_setup import Setup
    from .build import Workshop
    from .dockerfile import Instruction
    from .store import Page

    ContextFile = Callable[[str], Awaitable[Path]]
    """Where the archive of a build context lies, by its object's id; `NotFoundError` or `InvalidError` otherwise."""
    SecretValues = Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
    """The values of secrets, by environment variable."""

BlueprintStatus = Literal["queued", "provisioning", "building", "failed", "build_complete"]
BUILDS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Order:
    """A blueprint to build, as it was asked for."""

    name: str
    parameters: Mapping[str, Any]
    """What was asked for, as it is shown: without tokens and passwords."""
    instructions: tuple[Instruction, ...] = ()
    setup: Setup | None = None
    base_id: str | None = None
    base_name: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    context_id: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the build, and the secrets that they hold."""


@dataclass(frozen=True, slots=True)
class BlueprintRecord:
    """All that is known of a blueprint, apart from its disk and its log."""

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
        """How devboxes from it start, unless they say otherwise."""
        return self.parameters.get("launch_parameters") or {}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where builds find what other parts of the service keep."""

    context: ContextFile
    secrets: SecretValues


class Blueprints:
    """All blueprints of this machine."""

    def __init__(self, shop: Workshop, sources: Sources, login_shell: str, logs: Path) -> None:
        self._shop = shop
        self._store = shop.store
        self._sources = sources
        self._login_shell = login_shell
        self._logs = logs
        self._requests = Requests()
        self._turns = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def restore(self) -> None:
        """Note builds that the last service did not finish, and remove what they and old steps left on disk."""
        await asyncio.to_thread(_emptied, self._shop.folder)
        for status in ("queued", "building"):
            for body in await self._store.bodies("blueprint", status=status):
                await self._keep(_failed(loaded(body)))
                with self._log(body["id"]) as log:
                    log.write("The build ended early: the service was restarted.", "error")
        for name in self._shop.isolation.sandboxes():
            if name.startswith(SANDBOX_PREFIX):
                await (await self._shop.isolation.create(name)).destroy()
        await self._store.delete_before("build_step", now_ms() - KEEP_STEPS_MS)

    async def create(self, order: Order, request_id: str | None) -> BlueprintRecord:
        """A new blueprint, on its way to being built; the same request once more is the same blueprint."""
        known = self._requests.made(request_id)
        if known is not None:
            return await self.get(known)
        async with self._shop.layers.choosing:
            record, job = await self._prepared(order)
            held = self._shop.layers.held([layer for base in _bases(job) for layer in base.layers])
            held.__enter__()
        self._requests.note(record.id, request_id)
        try:
            await self._keep(record)
        except BaseException:
            self._requests.forget(request_id)
            held.__exit__(None, None, None)
            raise
        task = asyncio.create_task(self._run(record, job))
        task.add_done_callback(lambda _task: held.__exit__(None, None, None))
        self._tasks[record.id] = task
        return record

    async def get(self, blueprint_id: str) -> BlueprintRecord:
        """One blueprint, deleted ones too; `NotFoundError` if there never was one."""
        body = await self._store.get("blueprint", blueprint_id)
        if body is None:
            raise NotFoundError(f"No blueprint has the id {blueprint_id!r}.")
        return loaded(body)

    async def built(self, blueprint_id: str | None, name: str | None) -> BlueprintRecord:
        """The blueprint of this id, or the latest of this name that built; `NotFoundError` or `InvalidError`."""
        if blueprint_id is None:
            assert name is not None
            return await self._latest(name)
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
        """What its build said so far, as the inside of a JSON list."""
        await self.get(blueprint_id)
        return await asyncio.to_thread(read_log, self._logs / blueprint_id)

    async def delete(self, blueprint_id: str) -> None:
        """Delete it; `InvalidError` while snapshots depend on it. A build under way is given up."""
        record = await self.get(blueprint_id)
        await self._require_no_snapshots(record)
        task = self._tasks.get(blueprint_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            record = _failed(await self.get(blueprint_id))
        await self._keep(replace(record, deleted=True, layers=()))
        self._shop.layers.sweep_soon()

    async def aclose(self) -> None:
        """Give up the builds under way; the next service notes that they failed."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _latest(self, name: str) -> BlueprintRecord:
        found = await self._store.bodies("blueprint", limit=1, name=name, status="build_complete")
        if not found:
            raise NotFoundError(f"No blueprint called {name!r} has been built.")
        return loaded(found[0])

    async def _require_no_snapshots(self, record: BlueprintRecord) -> None:
        query = Query("snapshot", limit=0, without=HIDDEN, fields={"source_blueprint_id": record.id})
        count = (await self._store.page(query)).total_count
        if count:
            raise InvalidError(f"{count} snapshots depend on blueprint {record.id}: delete them first.")

    async def _prepared(self, order: Order) -> tuple[BlueprintRecord, Job]:
        """Look up all that a build needs, so that what is missing is said at once."""
        base = await self.built(order.base_id, order.base_name) if order.base_id or order.base_name else None
        names = set() if base else outside_names(order.instructions, order.build_args) if order.instructions else set()
        others = {name: found for name in names if (found := await self._named(name)) is not None}
        image = base.image if base else None if order.instructions else Image()
        stages = plan(
            order.instructions, order.build_args, {name: other.image for name, other in others.items()}, image
        )
        context = None if order.context_id is None else Archive(await self._sources.context(order.context_id))
        record = BlueprintRecord(
            id=new_id("bpt"),
            create_time_ms=now_ms(),
            name=order.name,
            parameters=order.parameters,
            base_blueprint_id=base.id if base else None,
        )
        job = Job(
            self._with_setup(stages, order),
            {name: Base(other.layers, other.key) for name, other in others.items()},
            Base(base.layers, base.key) if base else None,
            context,
            await self._sources.secrets(order.secrets),
            tuple(word for mount in (order.setup.code if order.setup else ()) for word in mount.hidden),
        )
        return record, job

    async def _named(self, name: str) -> BlueprintRecord | None:
        """The blueprint that FROM names; images of Docker have a tag, which `latest` is as good as none of."""
        try:
            return await self._latest(name.removesuffix(":latest"))
        except NotFoundError:
            return None

    def _with_setup(self, stages: tuple[Stage, ...], order: Order) -> tuple[Stage, ...]:
        has_root = self._shop.has_root
        added = setup_steps(order.setup, stages[-1].setting, self._login_shell, has_root=has_root)
        return (*stages[:-1], replace(stages[-1], steps=(*stages[-1].steps, *added)))

    async def _run(self, record: BlueprintRecord, job: Job) -> None:
        try:
            async with self._turns:
                with self._log(record.id, job) as log:
                    await self._build(record, job, log)
        finally:
            del self._tasks[record.id]

    async def _build(self, record: BlueprintRecord, job: Job, log: BuildLog) -> None:
        await self._keep(replace(record, status="building"))
        if not self._shop.has_root:
            log.write("Devboxes are plain processes here: the build has no root, and /home/user only.", "warn")
        build = Build(self._shop, job, log)
        try:
            base = await build.run()
            image = replace(job.stages[-1].image(), blueprint_id=record.id)
            log.write(f"Blueprint {record.name} is built.")
            await self._keep(
                replace(
                    record,
                    status="build_complete",
                    finish_time_ms=now_ms(),
                    layers=base.layers,
                    key=base.key,
                    image=image,
                )
            )
        except (BuildError, SandboxError, EngineError, OSError, RuntimeError) as error:
            log.write(str(of_machine(error) or error), "error")
            reason = "out_of_disk" if is_disk_full(error) else "build_failed"
            await self._keep(_failed(record, reason))
        finally:
            build.close()
            self._shop.layers.sweep_soon()

    def _log(self, blueprint_id: str, job: Job | None = None) -> BuildLog:
        return BuildLog(self._logs / blueprint_id, [] if job is None else [*job.secrets.values(), *job.hidden])

    async def _keep(self, record: BlueprintRecord) -> None:
        await self._store.put(document(record))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _bases(job: Job) -> list[Base]:
    return [*job.bases.values(), *([] if job.base is None else [job.base])]


def _failed(record: BlueprintRecord, reason: str = "build_failed") -> BlueprintRecord:
    return replace(record, status="failed", failure_reason=reason, finish_time_ms=now_ms())


def document(record: BlueprintRecord) -> Document:
    """A blueprint as the store keeps it."""
    return Document(
        "blueprint",
        record.id,
        asdict(record),
        status="deleted" if record.deleted else record.status,
        name=record.name,
        time_ms=record.create_time_ms,
        view=json.dumps(blueprint_view(record), ensure_ascii=False),
    )


def loaded(body: dict[str, Any]) -> BlueprintRecord:
    """The record from its stored form."""
    return BlueprintRecord(**{**body, "layers": tuple(body["layers"]), "image": loaded_image(body["image"])})


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
