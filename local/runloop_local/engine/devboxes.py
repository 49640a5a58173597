"""All devboxes of this machine, and what is kept of them between starts of the service."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from . import lifecycle
from .build import SANDBOX_PREFIX
from .devbox import Devbox, document, loaded
from .errors import InvalidError, NotFoundError
from .execution import KILLED, Ended, Execution, ExecutionRecord
from .execution import loaded as loaded_execution
from .ids import now_ms
from .lifecycle import DevboxRecord, Transition
from .output_log import OutputLog
from .requests import Requests
from .store import Query
from .workload import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .devbox import Ground
    from .store import Page

KEEP_ENDED_MS = 3 * 24 * 3600 * 1000


class Devboxes:
    """Devboxes by id: live ones in memory, ended ones in the store."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._live: dict[str, Devbox] = {}
        self._requests = Requests()

    async def restore(self) -> None:
        """Take up what the last service left: nothing runs, disks are kept."""
        for body in await self._ground.store.bodies("devbox"):
            await self._restore(loaded(body))
        for status in ("queued", "running"):
            for body in await self._ground.store.bodies("execution", status=status):
                record = replace(loaded_execution(body), status="completed", exit_status=KILLED, end_time_ms=now_ms())
                await self._ground.store.put(record.document())
        await self._clear_away()

    async def create(self, record: DevboxRecord, request_id: str | None) -> Devbox:
        """A new devbox, on its way to running; the same request once more is the same devbox."""
        known = self._requests.made("create", request_id)
        if known is not None:
            return await self.get(known)
        self._drop_ended()
        devbox = Devbox(replace(record, transitions=(Transition("queued", record.create_time_ms),)), self._ground)
        self._live[record.id] = devbox
        self._requests.note(record.id, "create", request_id)
        try:
            await devbox.save()
        except BaseException:
            del self._live[record.id]
            self._requests.forget("create", request_id)
            raise
        devbox.launch()
        return devbox

    async def get(self, devbox_id: str) -> Devbox:
        """One devbox; `NotFoundError` if there never was one."""
        live = self._live.get(devbox_id)
        if live is not None:
            return live
        body = await self._ground.store.get("devbox", devbox_id)
        if body is None:
            raise NotFoundError(f"No devbox has the id {devbox_id!r}.")
        return Devbox(loaded(body), self._ground)

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._ground.store.page(query)

    async def execute(self, devbox_id: str, order: Order, request_id: str | None = None) -> Execution:
        """Start a command; the same request or the same id once more is the same execution."""
        known = self._requests.made("execute", devbox_id, request_id)
        if known is not None:
            return await self.execution(devbox_id, known)
        devbox = await self.get(devbox_id)
        done = await self._find(devbox, order.id)
        if done is not None:
            return _same(done, order)
        self._requests.note(order.id, "execute", devbox_id, request_id)
        try:
            return _same(await devbox.execute(order), order)
        except BaseException:
            self._requests.forget("execute", devbox_id, request_id)
            raise

    async def execution(self, devbox_id: str, execution_id: str) -> Execution:
        """One execution, whatever became of it; `NotFoundError` if there never was one."""
        found = await self._find(await self.get(devbox_id), execution_id)
        if found is None:
            raise NotFoundError(f"Devbox {devbox_id} has no execution {execution_id!r}.")
        return found

    async def executions(self, devbox_id: str, limit: int) -> list[tuple[ExecutionRecord, OutputLog]]:
        """The newest executions of a devbox with their output, oldest first."""
        devbox = await self.get(devbox_id)
        records = [
            loaded_execution(body)
            for body in await self._ground.store.bodies("execution", parent=devbox.record.id, limit=limit)
        ]
        return [(record, self._log(record, devbox)) for record in records]

    def counts(self) -> dict[str, int]:
        """How many devboxes that have not ended are in each state."""
        statuses = [devbox.status for devbox in self._live.values()]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def live(self) -> Iterator[Devbox]:
        """Those that have not ended, and some that have."""
        return iter(self._live.values())

    def layers(self) -> frozenset[str]:
        """The layers that devboxes which have not ended were made from."""
        return frozenset(layer for devbox in self._live.values() if not devbox.gone for layer in devbox.record.layers)

    @property
    def busy(self) -> bool:
        """Whether a devbox runs or is on its way."""
        return any(devbox.status in lifecycle.BUSY for devbox in self._live.values())

    async def aclose(self) -> None:
        """End all processes; disks stay."""
        closing = [devbox.close() for devbox in self._live.values()]
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _find(self, devbox: Devbox, execution_id: str) -> Execution | None:
        running = devbox.execution(execution_id)
        if running is not None:
            return running
        body = await self._ground.store.get("execution", f"{devbox.record.id}/{execution_id}")
        if body is None:
            return devbox.execution(execution_id)
        record = loaded_execution(body)
        return Execution(record, self._log(record, devbox), Ended())

    def _log(self, record: ExecutionRecord, devbox: Devbox) -> OutputLog:
        running = devbox.execution(record.id)
        if running is not None:
            return running.log
        return OutputLog(self._ground.logs / record.devbox_id / record.id, finished=True)

    def _drop_ended(self) -> None:
        for devbox in [devbox for devbox in self._live.values() if devbox.gone]:
            del self._live[devbox.record.id]

    async def _restore(self, record: DevboxRecord) -> None:
        if record.status in lifecycle.TERMINAL and not record.has_disk:
            if (record.end_time_ms or 0) < now_ms() - KEEP_ENDED_MS:
                await self._forget(record)
            return
        settled = lifecycle.after_restart(record, now_ms())
        devbox = Devbox(settled, self._ground)
        if settled is not record:
            await self._ground.store.put(document(settled))
        if settled.status in lifecycle.TERMINAL:
            await devbox.remove_disk()
        else:
            self._live[record.id] = devbox

    async def _clear_away(self) -> None:
        """Remove disks that nobody owns: a kill may come between a disk's end and the word of it."""
        for name in self._ground.isolation.sandboxes() - self._live.keys():
            if not name.startswith(SANDBOX_PREFIX):
                await (await self._ground.isolation.create(name)).destroy()

    async def _forget(self, record: DevboxRecord) -> None:
        await self._ground.store.delete_children("execution", record.id)
        await self._ground.store.delete("devbox", record.id)
        await asyncio.to_thread(shutil.rmtree, self._ground.logs / record.id, ignore_errors=True)


def _same(execution: Execution, order: Order) -> Execution:
    if execution.record.command != order.command:
        raise InvalidError(f"command_id {order.id!r} has already run another command: choose a fresh one.")
    return execution
