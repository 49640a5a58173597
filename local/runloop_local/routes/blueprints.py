"""`/v1/blueprints`: prebuilt disks from which devboxes start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from msgspec import Meta
from starlette.routing import Route

from ..engine.build.blueprint import BlueprintRequest, BlueprintStatus, blueprint_view
from ..engine.build.dockerfile import parse
from ..engine.build.setup_script import Setup, preview
from ..engine.errors import InvalidError, NotServedError
from ..engine.storage.store import Page, Query
from .body import Body, read_body
from .launch_parameters import LaunchParameters
from .mounts import MAX_MOUNT_BYTES, CodeMountParameters
from .wire import attempt_of, engine_of, flag, integer, json_response, page_response, path_id, raw_json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LIST_LIMIT = 5000
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][^\s/\\]{0,254}\Z")]


class BuildContext(Body, frozen=True):
    """The build context, from which COPY and ADD take files."""

    type: Literal["object"]
    object_id: str


class Credentials(Body, frozen=True):
    """Credentials of a registry."""

    username: str
    password: str


class Service(Body, frozen=True):
    """A container to run beside a devbox, which is refused: there is no Docker engine."""

    name: str
    image: str
    credentials: Credentials | None = None
    env: dict[str, str] | None = None
    options: str | None = None
    port_mappings: list[str] | None = None


class Create(Body, frozen=True):
    """POST /v1/blueprints and /v1/blueprints/preview."""

    name: _Name
    dockerfile: str | None = None
    base_blueprint_id: str | None = None
    base_blueprint_name: str | None = None
    build_args: dict[str, str] | None = None
    build_context: BuildContext | None = None
    code_mounts: list[CodeMountParameters] | None = None
    file_mounts: dict[str, str] | None = None
    launch_parameters: LaunchParameters | None = None
    metadata: dict[str, str] | None = None
    network_policy_id: str | None = None
    secrets: dict[str, str] | None = None
    services: list[Service] | None = None
    system_setup_commands: list[str] | None = None

    def blueprint_request(self) -> BlueprintRequest:
        """The engine's form of the request."""
        self._check()
        return BlueprintRequest(
            name=self.name,
            parameters=self._shown(),
            instructions=parse(self.dockerfile or ""),
            setup=self.setup(),
            base_id=self.base_blueprint_id or None,
            base_name=self.base_blueprint_name or None,
            build_args=self.build_args or {},
            context_id=self.build_context.object_id if self.build_context else None,
            secrets=self.secrets or {},
            network_policy_id=self.network_policy_id or None,
        )

    def _check(self) -> None:
        if self.base_blueprint_id and self.base_blueprint_name:
            raise InvalidError("Give one of base_blueprint_id and base_blueprint_name, not both.")
        (self.launch_parameters or LaunchParameters()).check()
        if self.services:
            raise NotServedError(
                f"services names {', '.join(service.name for service in self.services)}: the embedded service runs no "
                "containers beside a devbox. Leave it out, and install what they serve in the blueprint."
            )

    def setup(self) -> Setup:
        """The setup steps after the Dockerfile."""
        for path, content in (self.file_mounts or {}).items():
            if len(content.encode()) > MAX_MOUNT_BYTES:
                raise InvalidError(f"The file mount {path!r} is over {MAX_MOUNT_BYTES:,} bytes: use a build context.")
        code = tuple(mount.mount() for mount in self.code_mounts or ())
        return Setup(tuple(self.system_setup_commands or ()), self.file_mounts or {}, code)

    def _shown(self) -> dict[str, Any]:
        """The request without the secrets in it."""
        found = self.given()
        found.pop("services", None)
        for mount in found.get("code_mounts", ()):
            mount.pop("token", None)
        return found


async def create(request: Request) -> Response:
    """POST /v1/blueprints."""
    body = await read_body(request, Create)
    record = await engine_of(request).blueprints.create(body.blueprint_request(), attempt_of(request))
    return json_response(blueprint_view(record))


async def show_preview(request: Request) -> Response:
    """POST /v1/blueprints/preview: the complete build as a Dockerfile."""
    body = await read_body(request, Create)
    body.blueprint_request()
    base = body.base_blueprint_name or body.base_blueprint_id
    return json_response({"dockerfile": preview(body.dockerfile, base, body.setup())})


async def list_all(request: Request) -> Response:
    """GET /v1/blueprints."""
    status = request.query_params.get("status")
    if status and status not in (*get_args(BlueprintStatus), "awaiting_upload"):
        raise InvalidError(f"status must be one of {', '.join(get_args(BlueprintStatus))}, not {status!r}.")
    query = Query(
        "blueprint",
        limit=integer(request, "limit", 20, _LIST_LIMIT),
        starting_after=request.query_params.get("starting_after") or None,
        status=status or None,
        search=request.query_params.get("search"),
        count=flag(request, "include_total_count", default=True),
        name=request.query_params.get("name") or None,
    )
    return page_response("blueprints", await engine_of(request).blueprints.page(query))


async def list_public(request: Request) -> Response:
    """GET /v1/blueprints/list_public: always empty, as this machine has none."""
    count = 0 if flag(request, "include_total_count", default=True) else None
    return page_response("blueprints", Page((), has_more=False, total_count=count))


async def retrieve(request: Request) -> Response:
    """GET /v1/blueprints/{id}."""
    return json_response(blueprint_view(await engine_of(request).blueprints.get(path_id(request))))


async def logs(request: Request) -> Response:
    """GET /v1/blueprints/{id}/logs: the build's log so far."""
    lines = await engine_of(request).blueprints.logs(path_id(request))
    # The id was found, so the service has generated it, and it needs no escaping.
    return raw_json_response(f'{{"blueprint_id":"{path_id(request)}","logs":[{lines}]}}')


async def delete(request: Request) -> Response:
    """POST /v1/blueprints/{id}/delete."""
    await engine_of(request).blueprints.delete(path_id(request))
    return json_response({})


ROUTES = [
    Route("/v1/blueprints", create, methods=["POST"]),
    Route("/v1/blueprints", list_all, methods=["GET"]),
    Route("/v1/blueprints/list_public", list_public, methods=["GET"]),
    Route("/v1/blueprints/preview", show_preview, methods=["POST"]),
    Route("/v1/blueprints/{id}", retrieve, methods=["GET"]),
    Route("/v1/blueprints/{id}/logs", logs, methods=["GET"]),
    Route("/v1/blueprints/{id}/delete", delete, methods=["POST"]),
]
