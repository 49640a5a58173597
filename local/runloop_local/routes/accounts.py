"""`/v1/accounts`: the single account of this machine's user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from .wire import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def me(request: Request) -> Response:
    """GET /v1/accounts/me."""
    return json_response(
        {
            "id": "acct_local",
            "name": "embedded service on this machine",
            "account_status": "ACCOUNT_STATUS_ENABLED",
            "tier": "ACCOUNT_TIER_BASIC",
            "created_at": request.app.state.started_at,
            "billing": {"account_billing_type": "UNRECOGNIZED"},
        }
    )


ROUTES = [Route("/v1/accounts/me", me, methods=["GET"])]
