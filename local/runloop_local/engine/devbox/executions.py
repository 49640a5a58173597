"""The executions of all devboxes: those that run, in memory, and those that have ended, in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidError, NotFoundError
from .execution import Ended, Execution, ExecutionRecord, loaded
from .execution_manager import RanBeforeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.store import Store
    from .devboxes import Devboxes
    from .execution_manager import ExecutionRequest
    from .history import History
    from .output_log import OutputLog


class Executions:
    """Executions by devbox and id."""

    def __init__(self, devboxes: Devboxes, store: Store, history: History) -> None:
        self._devboxes = devboxes
        self._store = store
        self._history = history

    async def start(self, devbox_id: str, request: ExecutionRequest) -> Execution:
        """Start a command; the same id once more is the same execution."""
        devbox = await self._devboxes.get(devbox_id)
        known = None if devbox.status == "running" else await self._find(devbox_id, request.id)
        try:
            return _same(known or await devbox.processes.execute(request), request)
        except RanBeforeError:
            return _same(await self.get(devbox_id, request.id), request)

    async def get(self, devbox_id: str, execution_id: str) -> Execution:
        """One execution, whatever became of it; raises `NotFoundError` if there never was one."""
        await self._devboxes.state(devbox_id)
        found = await self._find(devbox_id, execution_id)
        if found is None:
            raise NotFoundError(f"Devbox {devbox_id} has no execution {execution_id!r}.")
        return found

    async def newest(
        self, devbox_id: str, limit: int, wanted: Callable[[ExecutionRecord], bool]
    ) -> list[tuple[ExecutionRecord, OutputLog]]:
        """Those that are wanted of the newest executions of a devbox, with their output, oldest first."""
        await self._devboxes.state(devbox_id)
        found = await self._store.records("execution", loaded, parent=devbox_id, limit=limit)
        records = [self._settled(record) for record in found if wanted(record)]
        return [(record, self._log(record)) for record in records]

    async def _find(self, devbox_id: str, execution_id: str) -> Execution | None:
        running = self._running(devbox_id, execution_id)
        if running is not None:
            return running
        record = await self._store.record("execution", f"{devbox_id}/{execution_id}", loaded)
        started = self._running(devbox_id, execution_id)  # meanwhile
        if started is not None or record is None:
            return started
        record = self._settled(record)
        return Execution(record, self._log(record), Ended())

    def _running(self, devbox_id: str, execution_id: str) -> Execution | None:
        devbox = self._devboxes.find(devbox_id)
        return None if devbox is None else devbox.processes.execution(execution_id)

    def _settled(self, record: ExecutionRecord) -> ExecutionRecord:
        """The record, also if the disk was too full to note that the command had ended."""
        if record.status == "completed" or self._running(record.devbox_id, record.id) is not None:
            return record
        return self._history.killed(record)

    def _log(self, record: ExecutionRecord) -> OutputLog:
        running = self._running(record.devbox_id, record.id)
        return self._history.output(record) if running is None else running.log


def _same(execution: Execution, request: ExecutionRequest) -> Execution:
    if execution.record.command != request.command:
        raise InvalidError(
            f"Execution {request.id!r} has already run another command: give a new one a command_id or an x-request-id "
            "of its own."
        )
    return execution
