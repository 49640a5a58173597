"""Terminals of devboxes."""

from __future__ import annotations

from pydantic import Field

from ._view import View


class PtyConnectView(View):
    """A terminal session; its bytes travel over a WebSocket to `connect_url` on the same host.

    It outlives its client for `idle_ttl_seconds`. `cols` and `rows` are its size in characters.
    """

    attached: bool
    created: bool
    cols: int | None = None
    connect_url: str | None = Field(default=None, repr=False)
    idle_ttl_seconds: int | None = None
    protocol_version: str | None = None
    rows: int | None = None
    session_name: str | None = None
    status: str | None = None


class PtyControlResultView(View):
    """The session after a control action."""

    session_name: str | None = None
    status: str | None = None
