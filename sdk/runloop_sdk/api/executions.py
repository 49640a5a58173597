"""`.api.devboxes.executions`: commands that were started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .. import models
from .._config import LONG_TIMEOUT
from ..params.devboxes import DevboxExecuteAsyncParams, DevboxExecuteSyncParams
from ..params.executions import (
    ExecutionKillParams,
    ExecutionRetrieveParams,
    ExecutionSendStdInParams,
    ExecutionStreamUpdatesParams,
)
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._event_stream import EventResponse

_EXECUTION = "/v1/devboxes/{}/executions/{}"


class ExecutionsAPI(APIResource):
    """Operations on executions."""

    async def retrieve(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[ExecutionRetrieveParams]
    ) -> models.DevboxAsyncExecutionDetailView:
        """A command as it is now (`GET /v1/devboxes/{devbox_id}/executions/{execution_id}`)."""
        return await self._get(
            path_of(_EXECUTION, devbox_id, execution_id), params, lambda: models.DevboxAsyncExecutionDetailView
        )

    async def execute_async(
        self, id: str, **params: Unpack[DevboxExecuteAsyncParams]
    ) -> models.DevboxAsyncExecutionDetailView:
        """Start a command (`POST /v1/devboxes/{id}/execute_async`)."""
        path = path_of("/v1/devboxes/{}/execute_async", id)
        return await self._post(path, params, lambda: models.DevboxAsyncExecutionDetailView)

    async def execute_sync(
        self, id: str, **params: Unpack[DevboxExecuteSyncParams]
    ) -> models.DevboxExecutionDetailView:
        """Run a command to its end; deprecated by the API (`POST /v1/devboxes/{id}/execute_sync`)."""
        path = path_of("/v1/devboxes/{}/execute_sync", id)
        return await self._post(path, params, lambda: models.DevboxExecutionDetailView, timeout=LONG_TIMEOUT)

    async def kill(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[ExecutionKillParams]
    ) -> models.DevboxAsyncExecutionDetailView:
        """Kill a command (`POST .../executions/{execution_id}/kill`)."""
        path = path_of(_EXECUTION + "/kill", devbox_id, execution_id)
        return await self._post(path, params, lambda: models.DevboxAsyncExecutionDetailView)

    async def send_std_in(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[ExecutionSendStdInParams]
    ) -> models.DevboxSendStdInResult:
        """Write to a command started with `attach_stdin`, or signal it (`POST .../{execution_id}/send_std_in`)."""
        path = path_of(_EXECUTION + "/send_std_in", devbox_id, execution_id)
        return await self._post(path, params, lambda: models.DevboxSendStdInResult)

    async def stream_stdout_updates(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[ExecutionStreamUpdatesParams]
    ) -> EventResponse[models.ExecutionUpdateChunk]:
        """The stdout of a command as it is printed (`GET .../{execution_id}/stream_stdout_updates`)."""
        path = path_of(_EXECUTION + "/stream_stdout_updates", devbox_id, execution_id)
        return await self._events(path, params, lambda: models.ExecutionUpdateChunk)

    async def stream_stderr_updates(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[ExecutionStreamUpdatesParams]
    ) -> EventResponse[models.ExecutionUpdateChunk]:
        """The stderr of a command as it is printed (`GET .../{execution_id}/stream_stderr_updates`)."""
        path = path_of(_EXECUTION + "/stream_stderr_updates", devbox_id, execution_id)
        return await self._events(path, params, lambda: models.ExecutionUpdateChunk)
