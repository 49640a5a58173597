"""Blueprints: disks that are built once, and from which devboxes start."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ...sandbox.base import SandboxError
from ..errors import EngineError, InvalidError, NotFoundError, is_disk_full, of_machine
from ..storage.clearing import Clearing
from ..storage.record_set import RecordSet
from ..storage.store import Query
from .blueprint import IN_PROGRESS, built, deleted, document, failed, loaded
from .builder import Build, BuildError
from .disk import SANDBOX_PREFIX
from .origins import STARTER
from .preparation import Preparation

if TYPE_CHECKING:
    from pathlib import Path

    from ..storage.idempotency import Attempt
    from ..storage.store import Page
    from .blueprint import BlueprintRecord, BlueprintRequest
    from .builder import BuildRequest
    from .disk import BuildEnvironment
    from .log import BuildLog, BuildLogs
    from .preparation import Sources

BUILDS_AT_ONCE = 2
_BLUEPRINT_REASONS = ("out_of_memory", "out_of_disk")
"""The failure reasons of devboxes that the API also has for blueprints."""


class Blueprints:
    """All blueprints of this machine."""

    def __init__(
        self, environment: BuildEnvironment, sources: Sources, logs: BuildLogs, default_image: str = STARTER
    ) -> None:
        self._environment = environment
        self._store = environment.store
        self._records = RecordSet(environment.store, "blueprint", loaded, document)
        self.preparation = Preparation(environment, sources, self.built, default_image)
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
            record, build_request = await self.preparation.prepare(request)
            # Until the task ends, not this call.
            stack = ExitStack()
            if build_request is not None:
                stack.push(self.preparation.held(build_request))
        try:
            self._log(record.id).close()  # creates it, so that it can be read from now on
            await self._records.put(record, *attempt.note(record.id))
        except BaseException:
            stack.close()
            raise
        self._tasks[record.id] = task = asyncio.create_task(self._run(record, request, build_request, stack))
        task.add_done_callback(lambda _task: stack.close())
        task.add_done_callback(lambda _task: self._forget_task(record.id))
        return record

    async def get(self, blueprint_id: str) -> BlueprintRecord:
        """The blueprint of this id, even if deleted; raises `NotFoundError` if it never existed."""
        is_in_progress = blueprint_id in self._tasks  # first, as its outcome is stored before it is removed there
        record = await self._records.get(blueprint_id)
        return record if is_in_progress or record.status not in IN_PROGRESS else failed(record)

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
        await self._records.change(blueprint_id, deleted, urgent=True)
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
        await self._records.change(record.id, failed, urgent=True)
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

    async def _run(
        self, record: BlueprintRecord, request: BlueprintRequest, build_request: BuildRequest | None, stack: ExitStack
    ) -> None:
        async with self._semaphore:
            try:
                await self._records.change(record.id, lambda now: replace(now, status="building"))
                if build_request is None:
                    with self._log(record.id) as log:
                        build_request, held = await self.preparation.pulled(request, log)
                    stack.push(held)
                with self._log(record.id, build_request) as log:
                    await self._build(record, build_request, log)
            except (BuildError, SandboxError, EngineError, OSError, RuntimeError) as error:
                await self._fail(record.id, error, build_request)

    def _forget_task(self, blueprint_id: str) -> None:
        del self._tasks[blueprint_id]
        self._logs.end(blueprint_id)

    async def _build(self, record: BlueprintRecord, build_request: BuildRequest, log: BuildLog) -> None:
        build = Build(self._environment, build_request, log)
        try:
            if not self._environment.has_root:
                log.write("Devboxes are plain processes here: the build has no root, and /home/user only.", "warn")
            base = await build.run()
            image = replace(build_request.stages[-1].image(), blueprint_id=record.id)
            log.write(f"Blueprint {record.name} is built.")
            self._environment.layers.hold(_holder(record.id), base.layers)
            await self._records.change(record.id, lambda now: built(now, base, image))
        finally:
            build.close()

    async def _fail(self, blueprint_id: str, error: Exception, build_request: BuildRequest | None) -> None:
        passed = error.reason if isinstance(error, BuildError) else None
        reason = passed if passed in _BLUEPRINT_REASONS else "out_of_disk" if is_disk_full(error) else "build_failed"
        self._environment.layers.release(_holder(blueprint_id))
        # Both may fail on a full disk: `get` reports a build without a task as failed anyway.
        with suppress(EngineError):
            await self._records.change(blueprint_id, lambda now: failed(now, reason), urgent=True)
        with suppress(OSError), self._log(blueprint_id, build_request) as log:
            log.write(str(of_machine(error) or error), "error")

    def _log(self, blueprint_id: str, build_request: BuildRequest | None = None) -> BuildLog:
        hidden = (
            ()
            if build_request is None
            else (*build_request.secrets.values(), *build_request.mounted.values(), *build_request.hidden)
        )
        return self._logs.write(blueprint_id, hidden)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _holder(blueprint_id: str) -> str:
    return f"blueprint/{blueprint_id}"
