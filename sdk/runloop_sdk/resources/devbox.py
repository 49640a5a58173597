"""Devboxes, isolated Linux environments in which commands run, and the snapshots that they are made from and into."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self, Unpack, overload

from .._arguments import check_arguments
from .._errors import CommandError, ConfigurationError, RunloopError, UnexpectedStateError
from .._ids import uuid4
from .._polling import PollingConfig, Wait
from .._tunnels import tunnel_url
from ..cancellation import complete_or_undo, run_undo
from ..params._options import LongRequestOptions, PollingRequestOptions, RequestOptions
from ..params._waiting import (
    SDKDevboxCreateFromImageParams,
    SDKDevboxCreateParams,
    SDKDevboxSnapshotDiskParams,
)
from ..params.commands import ExecOptions
from ..params.devboxes import (
    DevboxCreateParams,
    DevboxListParams,
    DevboxSnapshotDiskAsyncParams,
)
from ..params.disk_snapshots import DiskSnapshotUpdateParams
from .command import AsyncCommandInterface
from .execution import AsyncExecution, AsyncExecutionResult
from .fan_out import OnFailure, fan_out

if TYPE_CHECKING:
    from .._pagination import ResourceListing
    from ..api._client import AsyncRunloopAPI
    from ..models.devboxes import DevboxView, TunnelView
    from ..models.disk_snapshots import DevboxSnapshotAsyncStatusView, DevboxSnapshotView
    from ..models.logs import DevboxLogsListView
    from .file import AsyncFileInterface
    from .network import AsyncNetworkInterface
    from .pty import AsyncPty
    from .shell import AsyncNamedShell

DEVBOX_HOLD = 25.0
"""Seconds for which the API holds a request that waits for a devbox."""
ENDED = ("failure", "shutdown")


@check_arguments
class AsyncDevbox:
    """One devbox. `async with` shuts it down at the end."""

    def __init__(self, api: AsyncRunloopAPI, devbox_id: str) -> None:
        self._api = api
        self._id = devbox_id
        self._shells: dict[str, AsyncNamedShell] = {}

    def __repr__(self) -> str:
        return f"<AsyncDevbox {self._id}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            await self.close()
        else:  # a shutdown that fails must not hide this error
            await run_undo(self.close(), error)

    @property
    def id(self) -> str:
        """The devbox's id."""
        return self._id

    @cached_property
    def cmd(self) -> AsyncCommandInterface:
        """Commands: run them in it."""
        return AsyncCommandInterface(self._api, self._id)

    @cached_property
    def file(self) -> AsyncFileInterface:
        """Files: read and write them."""
        from .file import AsyncFileInterface  # archives, and what guards against hostile ones

        return AsyncFileInterface(self._api, self._id, self.cmd)

    @cached_property
    def net(self) -> AsyncNetworkInterface:
        """Access from outside: SSH and tunnels."""
        from .network import AsyncNetworkInterface

        return AsyncNetworkInterface(self._api, self._id)

    def shell(self, shell_name: str | None = None) -> AsyncNamedShell:
        """The shell of this name, or a new one: its commands share a working directory and an environment.

        Sends no request; the shell is created at its first command.
        """
        from .shell import AsyncNamedShell

        name = uuid4() if shell_name is None else shell_name
        return self._shells.setdefault(name, AsyncNamedShell(self.cmd, name))

    def pty(self, session: str | None = None, *, cols: int | None = None, rows: int | None = None) -> AsyncPty:
        """The terminal of this name, or a new one: `async with devbox.pty("main") as terminal`. Sends no request.

        `cols` and `rows` are its size in characters, 1 to 1000, both or none.
        """
        from .pty import AsyncPty

        return AsyncPty(self._api, self._id, session, cols=cols, rows=rows)

    def execution(self, execution_id: str) -> AsyncExecution:
        """A command that was started before, perhaps by another process. Sends no request."""
        return AsyncExecution(self._api, self._id, execution_id)

    async def get_info(self, **options: Unpack[RequestOptions]) -> DevboxView:
        """The devbox as it is now (`GET /v1/devboxes/{id}`)."""
        return await self._api.devboxes.retrieve(self._id, **options)

    async def await_running(self, *, polling_config: PollingConfig | None = None) -> DevboxView:
        """The devbox, once it is running; raises `UnexpectedStateError` if it fails or is shut down meanwhile."""
        return await self._await("running", polling_config)

    async def await_suspended(self, *, polling_config: PollingConfig | None = None) -> DevboxView:
        """The devbox, once it is suspended; raises `UnexpectedStateError` if it fails or is shut down meanwhile."""
        return await self._await("suspended", polling_config)

    async def suspend(self, **options: Unpack[LongRequestOptions]) -> DevboxView:
        """Suspend it: only its disk is kept. `await_suspended` waits for that (`POST /v1/devboxes/{id}/suspend`)."""
        return await self._api.devboxes.suspend(self._id, **options)

    async def resume(
        self, *, polling_config: PollingConfig | None = None, **options: Unpack[LongRequestOptions]
    ) -> DevboxView:
        """Start it again from its disk and wait until it runs (`POST /v1/devboxes/{id}/resume`)."""
        await self.resume_async(**options)
        return await self.await_running(polling_config=polling_config)

    async def resume_async(self, **options: Unpack[LongRequestOptions]) -> DevboxView:
        """Start it again from its disk; `await_running` waits for that (`POST /v1/devboxes/{id}/resume`)."""
        return await self._api.devboxes.resume(self._id, **options)

    async def keep_alive(self, **options: Unpack[LongRequestOptions]) -> object:
        """Restart its keep-alive time (`POST /v1/devboxes/{id}/keep_alive`)."""
        return await self._api.devboxes.keep_alive(self._id, **options)

    async def shutdown(self, *, force: bool | None = None, **options: Unpack[LongRequestOptions]) -> DevboxView:
        """Shut it down for good; with `force`, even during a snapshot (`POST /v1/devboxes/{id}/shutdown`)."""
        return await self._api.devboxes.shutdown(self._id, force=force, **options)

    async def logs(self, *, execution_id: str | None = None, **options: Unpack[RequestOptions]) -> DevboxLogsListView:
        """Its logs, or those of one of its commands (`GET /v1/devboxes/{id}/logs`)."""
        return await self._api.devboxes.logs.list(self._id, execution_id=execution_id, **options)

    async def get_tunnel(self, **options: Unpack[RequestOptions]) -> TunnelView | None:
        """Its tunnel; None if none is open (`GET /v1/devboxes/{id}`)."""
        return (await self.get_info(**options)).tunnel

    async def get_tunnel_url(self, port: int, **options: Unpack[RequestOptions]) -> str | None:
        """The URL of a port of the devbox in its tunnel; None if no tunnel is open."""
        tunnel = await self.get_tunnel(**options)
        return None if tunnel is None else tunnel_url(self._api.config.base_url, tunnel.tunnel_key, port)

    async def snapshot_disk(self, **params: Unpack[SDKDevboxSnapshotDiskParams]) -> AsyncSnapshot:
        """A complete snapshot of its disk; raises `UnexpectedStateError` if that fails."""
        polling = params.pop("polling_config", None)
        snapshot = await self._snapshot(params)
        await snapshot.await_completed(polling_config=polling)
        return snapshot

    async def snapshot_disk_async(self, **params: Unpack[DevboxSnapshotDiskAsyncParams]) -> AsyncSnapshot:
        """Start a snapshot of its disk; `await_completed` waits for it (`POST .../snapshot_disk_async`)."""
        return await self._snapshot(params)

    async def _snapshot(self, params: DevboxSnapshotDiskAsyncParams) -> AsyncSnapshot:
        return AsyncSnapshot(self._api, (await self._api.devboxes.snapshot_disk_async(self._id, **params)).id)

    async def close(self) -> None:
        """Shut it down."""
        await self.shutdown()

    async def _await(self, status: str, config: PollingConfig | None) -> DevboxView:
        wait: Wait[DevboxView] = Wait(f"devbox {self._id} to be {status}", config, peek=self.get_info)

        async def look(seconds: float) -> DevboxView:
            return await self._api.devboxes.wait_for_status(
                self._id, statuses=[status, *ENDED], timeout_seconds=seconds
            )

        view = await wait.held(look, hold=DEVBOX_HOLD)
        if view.status != status:
            state = "has failed" if view.status == "failure" else f"is {view.status}, not {status}"
            why = f": {view.reason}" if view.reason else ""
            raise UnexpectedStateError(f"Devbox {self._id} {state}{why}", view=view)
        return view


@check_arguments
class AsyncSnapshot:
    """One snapshot of a devbox's disk."""

    def __init__(self, api: AsyncRunloopAPI, snapshot_id: str) -> None:
        self._api = api
        self._id = snapshot_id

    def __repr__(self) -> str:
        return f"<AsyncSnapshot {self._id}>"

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> DevboxSnapshotAsyncStatusView:
        """Its status and, once it is complete, its view (`GET /v1/devboxes/disk_snapshots/{id}/status`)."""
        return await self._api.devboxes.disk_snapshots.query_status(self._id, **options)

    async def update(self, **params: Unpack[DiskSnapshotUpdateParams]) -> DevboxSnapshotView:
        """Change its name, message or metadata (`POST /v1/devboxes/disk_snapshots/{id}`)."""
        return await self._api.devboxes.disk_snapshots.update(self._id, **params)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> object:
        """Delete it (`POST /v1/devboxes/disk_snapshots/{id}/delete`)."""
        return await self._api.devboxes.disk_snapshots.delete(self._id, **options)

    async def await_completed(self, **options: Unpack[PollingRequestOptions]) -> DevboxSnapshotAsyncStatusView:
        """Its status, once it is complete; raises `UnexpectedStateError` if it failed."""
        wait: Wait[DevboxSnapshotAsyncStatusView] = Wait(
            f"snapshot {self._id} to be complete", options.get("polling_config")
        )
        view = await wait.polled(self.get_info, lambda seen: seen.status != "in_progress")
        if view.status != "complete":
            reason = f" ({view.error_message})" if view.error_message else ""
            raise UnexpectedStateError(f"Snapshot {self._id} is {view.status}{reason}, not complete", view=view)
        return view

    async def create_devbox(self, **params: Unpack[SDKDevboxCreateFromImageParams]) -> AsyncDevbox:
        """A new devbox with this disk."""
        return await AsyncDevboxOps(self._api).create_from_snapshot(self._id, **params)


@check_arguments
class AsyncDevboxOps:
    """`sdk.devbox`: create and find devboxes."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[SDKDevboxCreateParams]) -> AsyncDevbox:
        """Create a devbox and wait until it is running (`POST /v1/devboxes`).

        If cancelled, it shuts the devbox down. Raises `UnexpectedStateError` if the devbox fails to start, and
        `PollingTimeoutError` at the deadline of `polling_config`, if there is one.
        """
        polling = params.pop("polling_config", None)
        devbox = await complete_or_undo(self._start(params), AsyncDevbox.close)
        try:
            await devbox.await_running(polling_config=polling)
        except asyncio.CancelledError as cancelled:
            await run_undo(devbox.close(), cancelled)
            raise
        return devbox

    async def create_from_blueprint_id(
        self, blueprint_id: str, **params: Unpack[SDKDevboxCreateFromImageParams]
    ) -> AsyncDevbox:
        """A new devbox from the blueprint with this id."""
        return await self.create(blueprint_id=blueprint_id, **params)

    async def create_from_blueprint_name(
        self, blueprint_name: str, **params: Unpack[SDKDevboxCreateFromImageParams]
    ) -> AsyncDevbox:
        """A new devbox from the latest blueprint of this name that was built."""
        return await self.create(blueprint_name=blueprint_name, **params)

    async def create_from_snapshot(
        self, snapshot_id: str, **params: Unpack[SDKDevboxCreateFromImageParams]
    ) -> AsyncDevbox:
        """A new devbox with the disk of a snapshot."""
        return await self.create(snapshot_id=snapshot_id, **params)

    def from_id(self, devbox_id: str) -> AsyncDevbox:
        """The devbox with this id; sends no request."""
        return AsyncDevbox(self._api, devbox_id)

    def list(self, **params: Unpack[DevboxListParams]) -> ResourceListing[DevboxView, AsyncDevbox]:
        """Devboxes, newest first: `await` gives a list of one page, `async for` walks all (`GET /v1/devboxes`)."""
        from .._pagination import ResourceListing

        return ResourceListing(self._api.devboxes.list(**params), lambda view: AsyncDevbox(self._api, view.id))

    @overload
    async def map(
        self,
        command: str,
        devboxes: Iterable[AsyncDevbox],
        *,
        concurrency: int = 64,
        on_failure: Literal["stop", "finish"] = "stop",
        check: bool = False,
        **params: Unpack[ExecOptions],
    ) -> Sequence[AsyncExecutionResult]: ...

    @overload
    async def map(
        self,
        command: str,
        devboxes: Iterable[AsyncDevbox],
        *,
        concurrency: int = 64,
        on_failure: OnFailure,
        check: bool = False,
        **params: Unpack[ExecOptions],
    ) -> Sequence[AsyncExecutionResult | RunloopError]: ...

    async def map(
        self,
        command: str,
        devboxes: Iterable[AsyncDevbox],
        *,
        concurrency: int = 64,
        on_failure: OnFailure = "stop",
        check: bool = False,
        **params: Unpack[ExecOptions],
    ) -> Sequence[AsyncExecutionResult | RunloopError]:
        """Run one command on many devboxes, at most `concurrency` at a time; the results in their order.

        On a failure, `on_failure` is to `stop` (cancel the rest and raise it), `finish` (let the rest end and raise
        all as an `ExceptionGroup`) or `keep` (return it in place of the result). With `check`, an exit code other
        than 0 is a failure (`CommandError`). The iterable of devboxes is consumed lazily.
        """

        async def run(devbox: AsyncDevbox) -> AsyncExecutionResult:
            given: object = devbox
            if not isinstance(given, AsyncDevbox):
                kind = type(given).__name__
                raise ConfigurationError(
                    f"devboxes of map takes AsyncDevbox, not {kind}: sdk.devbox.from_id(id) is one."
                )
            result = await devbox.cmd.exec(command, **params)
            return _checked(devbox, result) if check else result

        return await fan_out(run, devboxes, concurrency=concurrency, on_failure=on_failure)

    async def _start(self, params: DevboxCreateParams) -> AsyncDevbox:
        return AsyncDevbox(self._api, (await self._api.devboxes.create(**params)).id)


def _checked(devbox: AsyncDevbox, result: AsyncExecutionResult) -> AsyncExecutionResult:
    """The result; raises `CommandError` if the command failed."""
    if result.failed:
        raise CommandError(f"The command ended with {result.exit_code} on {devbox.id}", exit_code=result.exit_code)
    return result
