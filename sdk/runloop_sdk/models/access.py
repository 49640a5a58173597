"""Tokens, keys and tunnels: the ways into devboxes, and theirs to gateways and MCP servers."""

from __future__ import annotations

from pydantic import Field

from ._view import View
from .auth import AuthMechanism


class GatewayTokenView(View):
    """A token with which a devbox reaches `endpoint` through the gateway at `url`."""

    token: str = Field(repr=False)
    auth_mechanism: AuthMechanism
    devbox_id: str
    endpoint: str
    gateway_config_id: str
    url: str


class McpTokenView(View):
    """A token with which a devbox reaches an MCP server through the hub at `url`."""

    token: str = Field(repr=False)
    devbox_id: str
    endpoint: str
    mcp_config_id: str
    url: str
    allowed_tools: list[str] = []


class PtyTunnelView(View):
    """The tunnel to a devbox's terminals, and the token for it."""

    auth_token: str = Field(repr=False)
    tunnel_key: str


class DevboxCreateSSHKeyResponse(View):
    """The key, user and host to log in with over SSH; the private key is PEM."""

    id: str
    ssh_private_key: str = Field(repr=False)
    ssh_user: str
    url: str
