"""`%runloop policy info`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...finding import POLICY
from ...rendering import Details, ago
from ..parser import Parser

if TYPE_CHECKING:
    from runloop_sdk.models.network_policies import AllowedCidr, Egress, NetworkPolicyView

    from ...session import Session

_SWITCHES = {
    "allow_devbox_to_devbox": "other devboxes",
    "allow_runloop_mirrors": "Runloop's package mirrors",
    "allow_agent_gateway": "the agent gateway",
    "allow_mcp_gateway": "the MCP gateway",
}


def parser() -> Parser:
    """The options of `%runloop policy info`."""
    made = Parser("%runloop policy info", "Show one network policy in detail.")
    made.add_name("policy", "name", metavar="NAME|ID", help="a network policy's name or id")
    return made


async def run(session: Session, args: argparse.Namespace) -> Details[NetworkPolicyView]:
    """The card."""
    view = await POLICY.find(await session.sdk(), args.name)
    rows = (
        ("name", view.name),
        ("id", view.id),
        ("description", view.description or ""),
        ("allows", allowed(view.egress)),
        ("created", ago(view.create_time_ms)),
        ("changed", ago(view.update_time_ms)),
        ("use it", f"%devbox create --policy {view.name}"),
    )
    return Details(view, rows)


def allowed(egress: Egress) -> str:
    """Where devboxes may connect to, on one line."""
    if egress.allow_all:
        return "everything"
    switches = [words for name, words in _SWITCHES.items() if getattr(egress, name)]
    return ", ".join([*egress.allowed_hostnames, *map(_cidr, egress.allowed_cidrs), *switches]) or "nothing"


def _cidr(allowed: AllowedCidr) -> str:
    ports = "/".join(
        f"{rule.port}-{rule.end_port}" if rule.end_port else f"{rule.port}" for rule in allowed.ports or ()
    )
    return f"{allowed.cidr} port {ports}" if ports else allowed.cidr
