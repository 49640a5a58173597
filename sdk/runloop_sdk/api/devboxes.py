"""`.api.devboxes`: devboxes, their commands, files, tunnels and disks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Unpack

from .. import models
from .._config import LONG_TIMEOUT
from .._errors import APITimeoutError, NotFoundError, WaitTimeoutError
from .._ids import uuid4, uuid7
from ..params._options import LongRequestOptions, RequestOptions
from ..params.devboxes import (
    DevboxCreateGatewayTokenParams,
    DevboxCreateMcpTokenParams,
    DevboxCreateParams,
    DevboxDownloadFileParams,
    DevboxEnableTunnelParams,
    DevboxExecuteAsyncParams,
    DevboxExecuteParams,
    DevboxExecuteSyncParams,
    DevboxListParams,
    DevboxReadFileContentsParams,
    DevboxShutdownParams,
    DevboxSnapshotDiskAsyncParams,
    DevboxSnapshotDiskParams,
    DevboxUpdateParams,
    DevboxUploadFileParams,
    DevboxWaitForCommandParams,
    DevboxWaitForStatusParams,
    DevboxWriteFileContentsParams,
)
from ..params.disk_snapshots import DiskSnapshotListParams
from ..params.executions import ExecutionRetrieveParams
from ._resource import APIResource, build_request, path_of, split_options

if TYPE_CHECKING:
    from .._event_stream import EventStream
    from .._pagination import Listing
    from .._transport import Request
    from .disk_snapshots import DiskSnapshotsAPI
    from .executions import ExecutionsAPI
    from .logs import LogsAPI

COMMAND_HOLD = 25.0
"""Seconds for which the service holds a request for the end of a command, at most and by default."""
COMMAND_WAIT_TIMEOUT = COMMAND_HOLD + 10.0
"""10 s more for the network; for a devbox, a request is held for 30 s."""
DEVBOX_WAIT_TIMEOUT = 40.0
EXECUTE_SILENCE = 60.0
"""Seconds by which the answer to `execute` may be late: a busy service counts from when the command starts."""


class DevboxesAPI(APIResource):
    """Operations on devboxes."""

    @cached_property
    def executions(self) -> ExecutionsAPI:
        """Commands that were started."""
        from .executions import ExecutionsAPI

        return ExecutionsAPI(self._transport)

    @cached_property
    def disk_snapshots(self) -> DiskSnapshotsAPI:
        """Snapshots of disks."""
        from .disk_snapshots import DiskSnapshotsAPI

        return DiskSnapshotsAPI(self._transport)

    @cached_property
    def logs(self) -> LogsAPI:
        """Logs of devboxes."""
        from .logs import LogsAPI

        return LogsAPI(self._transport)

    async def create(self, **params: Unpack[DevboxCreateParams]) -> models.DevboxView:
        """A new devbox, which is still starting (`POST /v1/devboxes`)."""
        return await self._post("/v1/devboxes", params, lambda: models.DevboxView)

    async def create_and_await_running(self, **params: Unpack[DevboxCreateParams]) -> models.DevboxView:
        """A new devbox, running unless that takes too long (`POST /v1/devboxes/create_and_await_running`)."""
        return await self._post(
            "/v1/devboxes/create_and_await_running", params, lambda: models.DevboxView, timeout=DEVBOX_WAIT_TIMEOUT
        )

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.DevboxView:
        """A devbox as it is now (`GET /v1/devboxes/{id}`)."""
        return await self._get(path_of("/v1/devboxes/{}", id), options, lambda: models.DevboxView)

    async def update(self, id: str, **params: Unpack[DevboxUpdateParams]) -> models.DevboxView:
        """The devbox with a new name or new metadata (`POST /v1/devboxes/{id}`)."""
        return await self._post(path_of("/v1/devboxes/{}", id), params, lambda: models.DevboxView)

    def list(self, **params: Unpack[DevboxListParams]) -> Listing[models.DevboxView]:
        """Devboxes, newest first (`GET /v1/devboxes`)."""
        return self._list("/v1/devboxes", params, lambda: models.DevboxView, items="devboxes")

    async def wait_for_status(self, id: str, **params: Unpack[DevboxWaitForStatusParams]) -> models.DevboxView:
        """The devbox once it has one of `statuses`; raises `WaitTimeoutError` when the service stops waiting.

        (`POST /v1/devboxes/{id}/wait_for_status`)
        """
        path = path_of("/v1/devboxes/{}/wait_for_status", id)
        return await self._post(
            path, params, lambda: models.DevboxView, timeout=DEVBOX_WAIT_TIMEOUT, surface=(WaitTimeoutError,)
        )

    async def suspend(self, id: str, **options: Unpack[LongRequestOptions]) -> models.DevboxView:
        """Suspend a devbox: its processes end, and its disk is kept (`POST /v1/devboxes/{id}/suspend`)."""
        return await self._post_empty(path_of("/v1/devboxes/{}/suspend", id), options, lambda: models.DevboxView)

    async def resume(self, id: str, **options: Unpack[LongRequestOptions]) -> models.DevboxView:
        """Start a suspended devbox again from its disk (`POST /v1/devboxes/{id}/resume`)."""
        return await self._post_empty(path_of("/v1/devboxes/{}/resume", id), options, lambda: models.DevboxView)

    async def shutdown(self, id: str, **params: Unpack[DevboxShutdownParams]) -> models.DevboxView:
        """Shut a devbox down for good (`POST /v1/devboxes/{id}/shutdown`)."""
        return await self._post_empty(path_of("/v1/devboxes/{}/shutdown", id), params, lambda: models.DevboxView)

    async def keep_alive(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Restart the keep-alive time of a devbox (`POST /v1/devboxes/{id}/keep_alive`)."""
        return await self._send_for_nothing(path_of("/v1/devboxes/{}/keep_alive", id), options)

    async def retrieve_resource_usage(
        self, id: str, **options: Unpack[RequestOptions]
    ) -> models.DevboxResourceUsageView:
        """The CPU, memory and disk that a devbox has used so far (`GET /v1/devboxes/{id}/usage`)."""
        return await self._get(path_of("/v1/devboxes/{}/usage", id), options, lambda: models.DevboxResourceUsageView)

    async def watch_evictions(self, **options: Unpack[RequestOptions]) -> EventStream[models.DevboxEvictionEventView]:
        """Announcements of devboxes that will be evicted from their host (`GET /v1/devboxes/evictions/watch`).

        They go on through any silence, and end when the service ends them.
        """
        from .._event_stream import EventSubscription

        return EventSubscription(
            lambda: self._events("/v1/devboxes/evictions/watch", options.copy(), lambda: models.DevboxEvictionEventView)
        )

    # Commands

    async def execute(self, id: str, **params: Unpack[DevboxExecuteParams]) -> models.DevboxAsyncExecutionDetailView:
        """Run a command; returns when it has ended, or after `optimistic_timeout` (`POST /v1/devboxes/{id}/execute`).

        If there is no answer a minute after it is due, the connection may be dead. Then the command is looked up by its
        id, and started again only if the service does not know it.
        """
        command_id = params["command_id"] = params.get("command_id") or uuid7()
        # Both stay the same on each attempt, so that the service recognizes a command that it has started already.
        params["idempotency_key"] = params.get("idempotency_key") or uuid4()
        for attempt in count():
            try:
                return await self._execute(id, params)
            except APITimeoutError:
                if (found := await self._find_command(id, command_id, params)) is not None:
                    return found
                if attempt >= self._transport.config.max_retries:
                    raise
        raise AssertionError("unreachable")

    async def _execute(self, id: str, params: DevboxExecuteParams) -> models.DevboxAsyncExecutionDetailView:
        hold = params.get("optimistic_timeout")
        return await self._post(
            path_of("/v1/devboxes/{}/execute", id),
            params,
            lambda: models.DevboxAsyncExecutionDetailView,
            in_query=["last_n"],
            timeout=(COMMAND_HOLD if hold is None else hold) + EXECUTE_SILENCE,
            surface=(APITimeoutError,),  # not retried at once: the command may be running
        )

    async def _find_command(
        self, id: str, command_id: str, params: DevboxExecuteParams
    ) -> models.DevboxAsyncExecutionDetailView | None:
        """A command as it is now; None if the service knows none with this id."""
        given: ExecutionRetrieveParams = {"last_n": params.get("last_n"), "extra_headers": params.get("extra_headers")}
        try:
            return await self.executions.retrieve(command_id, devbox_id=id, **given)
        except NotFoundError:
            return None

    async def execute_async(
        self, id: str, **params: Unpack[DevboxExecuteAsyncParams]
    ) -> models.DevboxAsyncExecutionDetailView:
        """Start a command (`POST /v1/devboxes/{id}/execute_async`)."""
        path = path_of("/v1/devboxes/{}/execute_async", id)
        return await self._post(path, params, lambda: models.DevboxAsyncExecutionDetailView)

    async def execute_sync(
        self, id: str, **params: Unpack[DevboxExecuteSyncParams]
    ) -> models.DevboxExecutionDetailView:
        """Run a command to its end; deprecated by the API, use `execute` (`POST /v1/devboxes/{id}/execute_sync`)."""
        path = path_of("/v1/devboxes/{}/execute_sync", id)
        return await self._post(path, params, lambda: models.DevboxExecutionDetailView, timeout=LONG_TIMEOUT)

    async def wait_for_command(
        self, execution_id: str, *, devbox_id: str, **params: Unpack[DevboxWaitForCommandParams]
    ) -> models.DevboxAsyncExecutionDetailView:
        """The command once it has one of `statuses`; raises `WaitTimeoutError` when the service stops waiting.

        (`POST /v1/devboxes/{devbox_id}/executions/{execution_id}/wait_for_status`)
        """
        return await self._post(
            path_of("/v1/devboxes/{}/executions/{}/wait_for_status", devbox_id, execution_id),
            params,
            lambda: models.DevboxAsyncExecutionDetailView,
            in_query=["last_n"],
            timeout=COMMAND_WAIT_TIMEOUT,
            surface=(WaitTimeoutError,),
        )

    # Files

    async def read_file_contents(self, id: str, **params: Unpack[DevboxReadFileContentsParams]) -> str:
        """The text of a file, up to 100 MB (`POST /v1/devboxes/{id}/read_file_contents`)."""
        request = _file_request(path_of("/v1/devboxes/{}/read_file_contents", id), params, accept="text/plain")
        return (await self._transport.send(request)).text

    async def write_file_contents(
        self, id: str, **params: Unpack[DevboxWriteFileContentsParams]
    ) -> models.DevboxExecutionDetailView:
        """Write a text file, up to 100 MB (`POST /v1/devboxes/{id}/write_file_contents`)."""
        path = path_of("/v1/devboxes/{}/write_file_contents", id)
        return await self._post(path, params, lambda: models.DevboxExecutionDetailView, timeout=LONG_TIMEOUT)

    async def download_file(self, id: str, **params: Unpack[DevboxDownloadFileParams]) -> bytes:
        """The bytes of a file, all in memory (`POST /v1/devboxes/{id}/download_file`)."""
        request = _file_request(path_of("/v1/devboxes/{}/download_file", id), params)
        return (await self._transport.send(request._replace(max_bytes=None))).content

    @asynccontextmanager
    async def download_file_stream(
        self, id: str, **params: Unpack[DevboxDownloadFileParams]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a file as they arrive: `async with` it, then `async for` (`POST .../download_file`)."""
        request = _file_request(path_of("/v1/devboxes/{}/download_file", id), params)
        async with self._transport.open(request) as answer:
            async with aclosing(self._transport.body(answer, request)) as pieces:
                yield pieces

    async def upload_file(self, id: str, **params: Unpack[DevboxUploadFileParams]) -> object:
        """Upload a file of any size, read while it is sent (`POST /v1/devboxes/{id}/upload_file`).

        Raises `LocalFileError` if the file cannot be read. Retried, unless `file` can be read only once.
        """
        from .._upload import multipart, open_upload

        form, options = split_options(params)
        upload, content_type = multipart(await open_upload(form.pop("file")), "file", form)
        path, headers = path_of("/v1/devboxes/{}/upload_file", id), {"content-type": content_type, **upload.headers}
        request = build_request("POST", path, options, content=upload.content, headers=headers, timeout=LONG_TIMEOUT)
        return await self._send_untyped(request)

    # Tunnels and other ways in

    async def enable_tunnel(self, id: str, **params: Unpack[DevboxEnableTunnelParams]) -> models.TunnelView:
        """Open the devbox's tunnel (`POST /v1/devboxes/{id}/enable_tunnel`)."""
        return await self._post(path_of("/v1/devboxes/{}/enable_tunnel", id), params, lambda: models.TunnelView)

    async def remove_tunnel(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """Close the devbox's tunnel (`POST /v1/devboxes/{id}/remove_tunnel`)."""
        return await self._send_for_nothing(path_of("/v1/devboxes/{}/remove_tunnel", id), options)

    async def create_pty_tunnel(self, id: str, **options: Unpack[LongRequestOptions]) -> models.PtyTunnelView:
        """The tunnel to the devbox's terminals, for `.api.pty` (`POST /v1/devboxes/{id}/create_pty_tunnel`)."""
        return await self._post_empty(
            path_of("/v1/devboxes/{}/create_pty_tunnel", id), options, lambda: models.PtyTunnelView
        )

    async def create_ssh_key(self, id: str, **options: Unpack[LongRequestOptions]) -> models.DevboxCreateSSHKeyResponse:
        """A new key to log in with over SSH (`POST /v1/devboxes/{id}/create_ssh_key`)."""
        return await self._post_empty(
            path_of("/v1/devboxes/{}/create_ssh_key", id), options, lambda: models.DevboxCreateSSHKeyResponse
        )

    async def create_gateway_token(
        self, id: str, **params: Unpack[DevboxCreateGatewayTokenParams]
    ) -> models.GatewayTokenView:
        """A token for a gateway (`POST /v1/devboxes/{id}/create_gateway_token`)."""
        return await self._post(
            path_of("/v1/devboxes/{}/create_gateway_token", id), params, lambda: models.GatewayTokenView
        )

    async def create_mcp_token(self, id: str, **params: Unpack[DevboxCreateMcpTokenParams]) -> models.McpTokenView:
        """A token for an MCP server (`POST /v1/devboxes/{id}/create_mcp_token`)."""
        return await self._post(path_of("/v1/devboxes/{}/create_mcp_token", id), params, lambda: models.McpTokenView)

    # Disks

    async def snapshot_disk(self, id: str, **params: Unpack[DevboxSnapshotDiskParams]) -> models.DevboxSnapshotView:
        """A snapshot of the disk, complete (`POST /v1/devboxes/{id}/snapshot_disk`)."""
        path = path_of("/v1/devboxes/{}/snapshot_disk", id)
        return await self._post(path, params, lambda: models.DevboxSnapshotView, timeout=LONG_TIMEOUT)

    async def snapshot_disk_async(
        self, id: str, **params: Unpack[DevboxSnapshotDiskAsyncParams]
    ) -> models.DevboxSnapshotView:
        """A snapshot of the disk, which is still being taken (`POST /v1/devboxes/{id}/snapshot_disk_async`)."""
        return await self._post(
            path_of("/v1/devboxes/{}/snapshot_disk_async", id), params, lambda: models.DevboxSnapshotView
        )

    def list_disk_snapshots(self, **params: Unpack[DiskSnapshotListParams]) -> Listing[models.DevboxSnapshotView]:
        """The same as `disk_snapshots.list` (`GET /v1/devboxes/disk_snapshots`)."""
        return self.disk_snapshots.list(**params)

    async def delete_disk_snapshot(self, id: str, **options: Unpack[LongRequestOptions]) -> object:
        """The same as `disk_snapshots.delete` (`POST /v1/devboxes/disk_snapshots/{id}/delete`)."""
        return await self.disk_snapshots.delete(id, **options)


def _file_request(
    path: str,
    params: DevboxReadFileContentsParams | DevboxDownloadFileParams,
    *,
    accept: str = "application/octet-stream",
) -> Request:
    body, options = split_options(params)
    return build_request("POST", path, options, json=body, headers={"accept": accept}, timeout=LONG_TIMEOUT)
