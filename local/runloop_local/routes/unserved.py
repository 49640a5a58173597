"""Operations of the API that the embedded service does not have yet: they answer 501 with their name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from starlette.routing import Route

from ..engine.errors import NotServedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_OPERATIONS = """
POST /v1/devboxes/{id}/create_ssh_key devboxes.create_ssh_key
"""


def _refuse(operation: str) -> Callable[[Request], Awaitable[NoReturn]]:
    async def refuse(_request: Request) -> NoReturn:
        raise NotServedError(f"The embedded service does not have {operation} yet.")

    return refuse


def _route(line: str) -> Route:
    method, path, operation = line.split()
    return Route(path, _refuse(operation), methods=[method])


ROUTES = [_route(line) for line in _OPERATIONS.split("\n") if line]
