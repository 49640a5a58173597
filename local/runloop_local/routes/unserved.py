"""The operation of the API that the embedded service does not have: it answers 501 and says what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from starlette.routing import Route

from ..engine.errors import NotServedError

if TYPE_CHECKING:
    from starlette.requests import Request


async def create_ssh_key(_request: Request) -> NoReturn:
    """POST /v1/devboxes/{id}/create_ssh_key."""
    raise NotServedError(
        "The embedded service does not have devboxes.create_ssh_key: its devboxes run no SSH server. "
        "Use a terminal (PTY), or commands."
    )


ROUTES = [Route("/v1/devboxes/{id}/create_ssh_key", create_ssh_key, methods=["POST"])]
