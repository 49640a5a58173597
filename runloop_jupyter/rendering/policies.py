"""Describes network policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import AllowedCidr, Egress

_SWITCHES = {
    "allow_devbox_to_devbox": "other devboxes",
    "allow_runloop_mirrors": "Runloop's package mirrors",
    "allow_agent_gateway": "the agent gateway",
    "allow_mcp_gateway": "the MCP gateway",
}


def allowed(egress: Egress) -> str:
    """The destinations that devboxes may connect to, on one line."""
    if egress.allow_all:
        return "everything"
    switches = [words for name, words in _SWITCHES.items() if getattr(egress, name)]
    return ", ".join([*egress.allowed_hostnames, *map(_cidr, egress.allowed_cidrs), *switches]) or "nothing"


def _cidr(allowed: AllowedCidr) -> str:
    ports = "/".join(
        f"{rule.port}-{rule.end_port}" if rule.end_port else f"{rule.port}" for rule in allowed.ports or ()
    )
    return f"{allowed.cidr} port {ports}" if ports else allowed.cidr
