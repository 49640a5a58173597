"""Operations that the embedded service does not have: each answers 501, and says what to use instead.

Some were removed from the API, but older clients still call them: a 404 would look like a missing resource.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from starlette.routing import Route

from ..engine.errors import NotServedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

REMOVED: dict[str, str] = {
    "agents": "Keep an agent's files in a storage object and mount it, or install it by a command.",
    "benchmark_jobs": "Run the commands in devboxes of your own.",
    "benchmark_runs": "Run the commands in devboxes of your own.",
    "benchmarks": "Run the commands in devboxes of your own.",
    "scenarios/scorers": "Run the commands in devboxes of your own.",
    "scenarios": "Run the commands in devboxes of your own.",
    "repositories": "Clone the repository by a code mount.",
    "blueprints/create_from_inspection": "Create a blueprint from a Dockerfile.",
    "devboxes/browsers": "Install a browser by a blueprint, and reach it by a tunnel.",
    "devboxes/computers": "Install a desktop by a blueprint, and reach it by a tunnel.",
}
"""Paths below /v1/ of earlier versions of the API, and what to use instead."""


async def create_ssh_key(_request: Request) -> NoReturn:
    """POST /v1/devboxes/{id}/create_ssh_key."""
    raise NotServedError(
        "The embedded service does not have devboxes.create_ssh_key: its devboxes run no SSH server. "
        "Use a terminal (PTY), or commands."
    )


async def create_tunnel(_request: Request) -> NoReturn:
    """POST /v1/devboxes/{id}/create_tunnel."""
    raise NotServedError(
        "The API has no devboxes.create_tunnel any more. Use devboxes.enable_tunnel, which opens all ports by one key."
    )


def _refuse_removed(name: str, instead: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_request: Request) -> NoReturn:
        raise NotServedError(f"The API has no {name} any more. {instead}")

    return refuse


def _route(address: str, path: str) -> Route:
    refuse = _refuse_removed(path.replace("/", "."), REMOVED[path])
    return Route(f"/v1/{address}", refuse, methods=["GET", "POST"])


LITERAL_ROUTES = [_route(path, path) for path in REMOVED if path.startswith("devboxes/")]
"""These must come before routes that have a devbox's id at the same position."""
ROUTES = [
    Route("/v1/devboxes/{id}/create_ssh_key", create_ssh_key, methods=["POST"]),
    Route("/v1/devboxes/{id}/create_tunnel", create_tunnel, methods=["POST"]),
]
REMOVED_ROUTES = [_route(address, path) for path in REMOVED for address in (path, f"{path}/{{rest:path}}")]
"""These come last, so that other requests need not be matched against them."""
