"""`/v1/devboxes`: creation, status and lifecycle of devboxes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, get_args

from msgspec import Meta
from starlette.routing import Route

from ..engine.devbox.lifecycle import DevboxRecord, Status
from ..engine.errors import InvalidError, NotServedError
from ..engine.ids import new_id, now_ms
from ..engine.storage.store import Query
from ..engine.views import devbox_view, usage_view
from ..scopes import may_run_commands
from .body import Body, read_body
from .kernels import owner_of
from .launch_parameters import LaunchParameters
from .mounts import CodeMountParameters, Mount, code_of, files_of, objects_of, refuse_agents
from .tunnels import EnableTunnel
from .wire import (
    HOLD_S,
    attempt_of,
    engine_of,
    flag,
    hold_seconds,
    integer,
    json_response,
    page_response,
    path_id,
    wait_expired,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.build.setup_script import CodeMount
    from ..engine.devbox.devbox import Devbox
    from ..engine.devbox.state import DevboxState

_LIST_LIMIT = 5000
_CLOUD_ONLY = ("gateways", "mcp")


class Create(Body, frozen=True):
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
            launch_parameters=parameters.given(),
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


class Update(Body, frozen=True):
    """POST /v1/devboxes/{id}."""

    name: str | None = None
    metadata: dict[str, str] | None = None


class Wait(Body, frozen=True):
    """POST .../wait_for_status."""

    statuses: Annotated[list[Status], Meta(min_length=1)]
    timeout_seconds: float | None = None


class Shutdown(Body, frozen=True):
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
    return await _change(request, lambda devbox: devbox.state.change(**body.given()))


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
