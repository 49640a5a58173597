"""`.api.pty`: terminals, served by the devbox behind its PTY tunnel."""

from __future__ import annotations

from typing import Any, Unpack

from .. import models
from ..params.pty import PtyConnectParams, PtyControlParams
from ._resource import APIResource, build_request, path_of, split_options


class PtyAPI(APIResource):
    """Operations on terminals.

    Pass the tunnel's `base_url` and `auth_token`, or use a client whose base URL and key they are.
    """

    async def connect(self, session_name: str, **params: Unpack[PtyConnectParams]) -> models.PtyConnectView:
        """The terminal session of this name, a new one if there is none (`GET /pty/{session_name}`)."""
        given, options = split_options(params)
        base_url, token = _pop_host(given)
        request = build_request("GET", path_of("/pty/{}", session_name), options, query=given)
        return await self._view(request._replace(base_url=base_url, bearer_token=token), lambda: models.PtyConnectView)

    async def control(self, session_name: str, **params: Unpack[PtyControlParams]) -> models.PtyControlResultView:
        """Resize, signal or close a session (`POST /pty/{session_name}/control`)."""
        given, options = split_options(params)
        base_url, token = _pop_host(given)
        request = build_request("POST", path_of("/pty/{}/control", session_name), options, json=given)
        return await self._view(
            request._replace(base_url=base_url, bearer_token=token), lambda: models.PtyControlResultView
        )


def _pop_host(given: dict[str, Any]) -> tuple[str | None, str | None]:
    base_url = given.pop("base_url", None)
    return base_url and base_url.rstrip("/"), given.pop("auth_token", None)
