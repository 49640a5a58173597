"""`/v1/devboxes`: creation, status and lifecycle of devboxes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field
from starlette.routing import Route

from ..engine.devbox.expiry_timer import MAX_KEEP_ALIVE_S
from ..engine.devbox.lifecycle import DevboxRecord, Status
from ..engine.devbox.limits import size_of
from ..engine.errors import InvalidError, NotServedError
from ..engine.ids import new_id, now_ms
from ..engine.storage.store import Query
from ..engine.views import devbox_view, usage_view
from ..scopes import may_run_commands
from .kernels import owner_of
from .mounts import CodeMountParameters, Mount, code_of, files_of, objects_of, refuse_agents
from .tunnels import EnableTunnel
from .wire import (
    HOLD_S,
    Body,
    Int64,
    attempt_of,
    engine_of,
    flag,
    hold_seconds,
    integer,
    json_response,
    page_response,
    path_id,
    read_body,
    wait_expired,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.build.setup_script import CodeMount
    from ..engine.devbox.devbox import Devbox
    from ..engine.devbox.state import DevboxState

MAX_SUSPEND_DEADLINE_MS = 60_000
_LIST_LIMIT = 5000
_CLOUD_ONLY = ("gateways", "mcp")


class AfterIdle(Body):
    """The action for an idle devbox."""

    idle_time_seconds: Annotated[Int64, Field(gt=0)]
    on_idle: Literal["shutdown", "suspend"]


class ResumeTriggers(Body):
    """The events that resume a suspended devbox."""

    http: bool | None = None
    axon_event: bool | None = None


class LifecycleHooks(Body):
    """The commands to run before a devbox is suspended, and their time limit."""

    suspend_commands: list[str] | None = None
    suspend_deadline_ms: Annotated[int, Field(gt=0, le=MAX_SUSPEND_DEADLINE_MS)] | None = None


class Lifecycle(Body):
    """The lifecycle settings, which replace the older `after_idle`."""

    after_idle: AfterIdle | None = None
    lifecycle_hooks: LifecycleHooks | None = None
    resume_triggers: ResumeTriggers | None = None


class UserParameters(Body):
    """The account that commands run under."""

    username: str
    uid: Int64


class LaunchParameters(Body):
    """The launch parameters: resources, launch commands and idle behaviour."""

    keep_alive_time_seconds: Annotated[int, Field(gt=0, le=MAX_KEEP_ALIVE_S)] | None = None
    after_idle: AfterIdle | None = None
    lifecycle: Lifecycle | None = None
    launch_commands: list[str] | None = None
    user_parameters: UserParameters | None = None
    resource_size_request: (
        Literal["X_SMALL", "SMALL", "MEDIUM", "LARGE", "X_LARGE", "XX_LARGE", "CUSTOM_SIZE"] | None
    ) = None
    custom_cpu_cores: float | None = None
    custom_gb_memory: Int64 | None = None
    custom_disk_size: Int64 | None = None
    architecture: Literal["x86_64", "arm64"] | None = None
    available_ports: list[Int64] | None = None
    network_policy_id: str | None = None
    provisioning_tier: Literal["standard", "flex"] | None = None
    required_services: list[str] | None = None

    def check(self) -> None:
        """Raise `InvalidError` for contradictory parameters."""
        size_of(self.model_dump())
        newer = self.lifecycle and self.lifecycle.after_idle
        if self.after_idle and newer and self.after_idle != newer:
            raise InvalidError("after_idle and lifecycle.after_idle differ: give the second only.")


class Create(Body):
    """POST /v1/devboxes."""

    name: str | None = None
    metadata: dict[str, str] | None = None
    environment_variables: dict[str, str] | None = None
    file_mounts: dict[str, str] | None = None
    mounts: list[Mount] | None = None
    launch_parameters: LaunchParameters | None = None
    entrypoint: str | None = None
    snapshot_id: str | None = None
    blueprint_id: str | None = None
    blueprint_name: str | None = None
    code_mounts: list[CodeMountParameters] | None = None
    gateways: dict[str, Any] | None = None
    mcp: dict[str, Any] | None = None
    secrets: dict[str, str] | None = None
    tunnel: EnableTunnel | None = None

    def record(self) -> DevboxRecord:
        """A record for the requested devbox."""
        self._check()
        parameters = self.launch_parameters or LaunchParameters()
        parameters.check()
        return DevboxRecord(
            id=new_id("dbx"),
            create_time_ms=now_ms(),
            name=self.name,
            metadata=self.metadata or {},
            launch_parameters=parameters.model_dump(exclude_none=True),
            environment_variables=self.environment_variables or {},
            file_mounts=files_of(self.mounts or (), self.file_mounts or {}),
            object_mounts=objects_of(self.mounts or ()),
            secrets=self.secrets or {},
            entrypoint=self.entrypoint,
            snapshot_id=self.snapshot_id,
            blueprint_id=self.blueprint_id,
            tunnel=None if self.tunnel is None else self.tunnel.tunnel(),
        )

    def code(self) -> tuple[CodeMount, ...]:
        """The repositories to clone into it."""
        return code_of(self.mounts or (), self.code_mounts or ())

    def _check(self) -> None:
        refuse_agents(self.mounts or ())
        for option in _CLOUD_ONLY:
            if getattr(self, option):
                raise NotServedError(
                    f"A devbox of the embedded service cannot have {option}: its requests would go through a server "
                    "of Runloop's cloud, which adds the secret. Leave it out, or give the secret in `secrets`."
                )


class Update(Body):
    """POST /v1/devboxes/{id}."""

    name: str | None = None
    metadata: dict[str, str] | None = None


class Wait(Body):
    """POST .../wait_for_status."""

    statuses: Annotated[list[Status], Field(min_length=1)]
    timeout_seconds: float | None = None


class Shutdown(Body):
    """POST .../shutdown; clients usually give `force` in the query."""

    force: str | None = None


async def create(request: Request) -> Response:
    """POST /v1/devboxes."""
    return _view(request, (await _create(request)).state)


async def create_and_await_running(request: Request) -> Response:
    """POST /v1/devboxes/create_and_await_running: answers the devbox as it is after `HOLD_S` at the latest."""
    devbox = await _create(request)
    await devbox.state.wait(frozenset({"running", "failure", "shutdown", "suspended"}), HOLD_S)
    return _view(request, devbox.state)


async def _create(request: Request) -> Devbox:
    body = await read_body(request, Create)
    engine, attempt = engine_of(request), attempt_of(request)
    if attempt.made is not None:
        return await engine.devboxes.get(attempt.made)
    record = replace(await engine.provisioner.checked(body.record(), body.code()), owner=owner_of(request))
    return await engine.devbox_factory.create(record, body.blueprint_name, attempt)


async def list_all(request: Request) -> Response:
    """GET /v1/devboxes."""
    status = request.query_params.get("status")
    if status and status not in (*get_args(Status), "scheduled"):
        raise InvalidError(f"status must be one of {', '.join(get_args(Status))}, not {status!r}.")
    query = Query(
        "devbox",
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        status="queued" if status == "scheduled" else status or None,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
    )
    page = await engine_of(request).devboxes.page(query, tunnels=may_run_commands(request.scope["key"]))
    return page_response("devboxes", page)


async def retrieve(request: Request) -> Response:
    """GET /v1/devboxes/{id}."""
    state = await _state(request)
    await state.settled()
    return _view(request, state)


async def update(request: Request) -> Response:
    """POST /v1/devboxes/{id}."""
    body = await read_body(request, Update)
    return await _change(request, lambda devbox: devbox.state.change(**body.model_dump(exclude_none=True)))


async def wait_for_status(request: Request) -> Response:
    """POST /v1/devboxes/{id}/wait_for_status."""
    body = await read_body(request, Wait)
    state = await _state(request)
    if not await state.wait(frozenset(body.statuses), hold_seconds(body.timeout_seconds)):
        raise wait_expired(f"Devbox {state.record.id}", list(body.statuses))
    return _view(request, state)


async def suspend(request: Request) -> Response:
    """POST /v1/devboxes/{id}/suspend."""
    return await _change(request, lambda devbox: devbox.suspend(attempt_of(request)))


async def resume(request: Request) -> Response:
    """POST /v1/devboxes/{id}/resume."""
    return await _change(request, lambda devbox: devbox.resume())


async def keep_alive(request: Request) -> Response:
    """POST /v1/devboxes/{id}/keep_alive."""
    await (await _devbox(request)).keep_alive()
    return json_response({})


async def shutdown(request: Request) -> Response:
    """POST /v1/devboxes/{id}/shutdown; with `force`, even while a snapshot is being taken."""
    body = await read_body(request, Shutdown)

    async def end(devbox: Devbox) -> None:
        if not flag(request, "force", default=False, given=body.force):
            engine_of(request).snapshots.require_none(devbox.record.id)
        await devbox.shutdown("api_shutdown")

    return await _change(request, end)


async def usage(request: Request) -> Response:
    """GET /v1/devboxes/{id}/usage."""
    state = await _state(request)
    return json_response(usage_view(state.record, state.in_status_ms))


async def _change(request: Request, change: Callable[[Devbox], Awaitable[None]]) -> Response:
    """Change a devbox once, and answer its view.

    The request is remembered with the devbox's id, not with the view, which may contain a tunnel's token.
    """
    devbox, attempt = await _devbox(request), attempt_of(request)
    if attempt.made is None:
        await change(devbox)
        attempt.refer_to(devbox.record.id)
    return _view(request, devbox.state)


async def _devbox(request: Request) -> Devbox:
    return await engine_of(request).devboxes.get(path_id(request))


async def _state(request: Request) -> DevboxState:
    return await engine_of(request).devboxes.state(path_id(request))


def _view(request: Request, state: DevboxState) -> Response:
    view = devbox_view(state.record)
    # A key that may only read must not see the tunnel's credentials, which reach programs in the devbox.
    return json_response(view if may_run_commands(request.scope["key"]) else {**view, "tunnel": None})


ROUTES = [
    Route("/v1/devboxes", create, methods=["POST"]),
    Route("/v1/devboxes", list_all, methods=["GET"]),
    Route("/v1/devboxes/create_and_await_running", create_and_await_running, methods=["POST"]),
    Route("/v1/devboxes/{id}/wait_for_status", wait_for_status, methods=["POST"]),
    Route("/v1/devboxes/{id}/suspend", suspend, methods=["POST"]),
    Route("/v1/devboxes/{id}/resume", resume, methods=["POST"]),
    Route("/v1/devboxes/{id}/keep_alive", keep_alive, methods=["POST"]),
    Route("/v1/devboxes/{id}/shutdown", shutdown, methods=["POST"]),
    Route("/v1/devboxes/{id}/usage", usage, methods=["GET"]),
    Route("/v1/devboxes/{id}", retrieve, methods=["GET"]),
    Route("/v1/devboxes/{id}", update, methods=["POST"]),
]
