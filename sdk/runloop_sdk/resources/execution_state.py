"""The state of a command, as far as it is known here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from .._errors import WaitTimeoutError

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.executions import DevboxAsyncExecutionDetailView


class ExecutionState:
    """The id of a command, the request that starts it while that is under way, and its view once it has ended."""

    def __init__(
        self, api: AsyncRunloopAPI, devbox_id: str, execution_id: str, view: DevboxAsyncExecutionDetailView | None
    ) -> None:
        self.devbox_id = devbox_id
        self.execution_id = execution_id
        self.final: DevboxAsyncExecutionDetailView | None = None
        """Its last view: a command that has ended is not asked about again."""
        self.starting: asyncio.Task[None] | None = None
        """The request that starts it."""
        self._api = api
        self._asking = asyncio.Lock()
        self._take(view)

    def start(self, request: Callable[[], Awaitable[DevboxAsyncExecutionDetailView]]) -> None:
        """Send the request that starts the command under this id, in the background: the answer may take its time."""
        self.starting = asyncio.create_task(self._start(request))
        # A failure reaches the caller through `result`; this keeps asyncio from reporting it a second time.
        self.starting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def ended_within(self, seconds: float) -> DevboxAsyncExecutionDetailView | None:
        """Its view if it ends within this many seconds; 0 requests its current state."""
        if not seconds:
            return await self._ended_now()
        if self.starting is not None:  # before its answer there is nothing to wait for
            await asyncio.shield(self.starting)
        async with self._asking:  # stdout and stderr end together: the second is told what the first has heard
            try:
                return await self.wait(seconds)
            except WaitTimeoutError:
                return None

    async def wait(self, seconds: float) -> DevboxAsyncExecutionDetailView:
        """Its last view, from one request that the API holds until the command ends, or for this many seconds."""
        if self.final is None:
            self.final = await self._api.devboxes.wait_for_command(
                self.execution_id, devbox_id=self.devbox_id, statuses=["completed"], timeout_seconds=seconds
            )
        return self.final

    async def _start(self, request: Callable[[], Awaitable[DevboxAsyncExecutionDetailView]]) -> None:
        view = await request()
        self.execution_id = view.execution_id  # a service may choose its own
        self._take(view)

    async def _ended_now(self) -> DevboxAsyncExecutionDetailView | None:
        if self.starting is not None:
            # A service that has not answered yet may not know the id yet: its 404 would look like a lost command.
            if not self.starting.done():
                return None
            self.starting.result()
        if self.final is None:
            self._take(await self._api.devboxes.executions.retrieve(self.execution_id, devbox_id=self.devbox_id))
        return self.final

    def _take(self, view: DevboxAsyncExecutionDetailView | None) -> None:
        self.final = view if view is not None and view.status == "completed" else None
