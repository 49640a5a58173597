"""MCP configurations: tool servers that devboxes call without knowing the credential."""

from __future__ import annotations

from ._view import View
from .auth import AuthMechanism, CustomHeader


class McpConfigView(View):
    """An MCP server and the tools of it that may be used; the time is milliseconds since 1970."""

    id: str
    auth_mechanism: AuthMechanism
    create_time_ms: int
    endpoint: str
    name: str
    allowed_tools: list[str] = []
    custom_headers: list[CustomHeader] | None = None
    description: str | None = None
