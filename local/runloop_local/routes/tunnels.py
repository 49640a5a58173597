"""`/v1/devboxes/{id}/enable_tunnel` and `remove_tunnel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.routing import Route

from ..engine.tunnel.tunnels import new_tunnel
from ..engine.views import tunnel_view
from .body import Body, read_body
from .wire import attempt_of, engine_of, json_response, path_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.tunnel.tunnel import Tunnel


class EnableTunnel(Body, frozen=True):
    """POST .../enable_tunnel, and `tunnel` of a new devbox."""

    auth_mode: Literal["open", "authenticated"] | None = None
    http_keep_alive: bool | None = None
    wake_on_http: bool | None = None

    def tunnel(self) -> Tunnel:
        """A new tunnel with these settings."""
        kept_alive = self.http_keep_alive is not False
        return new_tunnel(self.auth_mode or "open", http_keep_alive=kept_alive, wake_on_http=bool(self.wake_on_http))


async def enable(request: Request) -> Response:
    """POST /v1/devboxes/{id}/enable_tunnel."""
    body = await read_body(request, EnableTunnel)
    engine, attempt = engine_of(request), attempt_of(request)
    devbox = await engine.devboxes.get(path_id(request))
    if attempt.made is not None:
        return json_response(tunnel_view(engine.tunnels.noted(devbox, attempt.made)))
    tunnel = body.tunnel()
    await engine.tunnels.open(devbox, tunnel, attempt)
    return json_response(tunnel_view(tunnel))


async def remove(request: Request) -> Response:
    """POST /v1/devboxes/{id}/remove_tunnel."""
    engine = engine_of(request)
    await engine.tunnels.close(await engine.devboxes.get(path_id(request)))
    return json_response({})


ROUTES = [
    Route("/v1/devboxes/{id}/enable_tunnel", enable, methods=["POST"]),
    Route("/v1/devboxes/{id}/remove_tunnel", remove, methods=["POST"]),
]
