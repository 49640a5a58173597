"""Network policies: the hosts that devboxes may connect to."""

from __future__ import annotations

from typing import Literal

from ._view import View

Protocol = Literal["TCP", "UDP"] | str


class PortRule(View):
    """A port, or those from `port` to `end_port`; both protocols unless one is given."""

    port: int
    end_port: int | None = None
    protocol: Protocol | None = None


class AllowedCidr(View):
    """A range of addresses; all ports unless some are given."""

    cidr: str
    ports: list[PortRule] | None = None


class Egress(View):
    """The allowed connections; all others are blocked."""

    allow_agent_gateway: bool
    allow_all: bool
    allow_devbox_to_devbox: bool
    allow_mcp_gateway: bool
    allow_runloop_mirrors: bool
    allowed_cidrs: list[AllowedCidr] = []
    allowed_hostnames: list[str] = []


class NetworkPolicyView(View):
    """A network policy; times are milliseconds since 1970."""

    id: str
    create_time_ms: int
    egress: Egress
    name: str
    update_time_ms: int
    description: str | None = None
