"""Parameters of operations on MCP configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required

from ._options import LongRequestOptions
from .auth import AuthMechanism, CustomHeader
from .lists import SearchParams


class McpConfigCreateParams(LongRequestOptions, total=False):
    """An MCP server to set up."""

    allowed_tools: Required[Sequence[str]]
    """Names or patterns of tools, like `github.get_*` or `*`."""
    endpoint: Required[str]
    """The server's URL."""
    name: Required[str]
    auth_mechanism: AuthMechanism | None
    custom_headers: Sequence[CustomHeader] | None
    description: str | None


class McpConfigUpdateParams(LongRequestOptions, total=False):
    """The properties to change."""

    allowed_tools: Sequence[str] | None
    auth_mechanism: AuthMechanism | None
    custom_headers: Sequence[CustomHeader] | None
    description: str | None
    endpoint: str | None
    name: str | None


class McpConfigListParams(SearchParams, total=False):
    """Filters of a list of MCP configurations."""

    id: str | None
    name: str | None
    """Part of the name."""
