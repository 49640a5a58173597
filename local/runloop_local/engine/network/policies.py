"""Evaluates network policies, which restrict the connections of devboxes. Does no I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import UnreadableError

if TYPE_CHECKING:
    from ...sandbox.base import Address


class Ports(msgspec.Struct, frozen=True):
    """A range of TCP ports."""

    first: int
    last: int


class Network(msgspec.Struct, frozen=True):
    """A range of addresses and the ports allowed there; no ports means all."""

    addresses: ipaddress.IPv4Network
    ports: tuple[Ports, ...] = ()


class EgressRules(msgspec.Struct, frozen=True):
    """The egress rules of a policy."""

    allow_all: bool
    hostnames: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def allows(self, host: str, port: int, address: Address | None) -> bool:
        """True if a connection to `host` at `address` is allowed; with no address, if it is allowed at any."""
        if self.allow_all or any(_matches(host, pattern) for pattern in self.hostnames):
            return True
        if address is None:
            return any(_is_open(port, network.ports) for network in self.networks)
        return any(address in network.addresses and _is_open(port, network.ports) for network in self.networks)


def loaded(policy: Mapping[str, Any]) -> EgressRules:
    """Load the rules from a policy's view; raises `UnreadableError` if they are invalid, rather than allow anything."""
    try:
        egress = policy["egress"]
        networks = tuple(_network(entry) for entry in egress["allowed_cidrs"])
        return EgressRules(egress["allow_all"], tuple(egress["allowed_hostnames"]), networks)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"The network policy {policy.get('id')} cannot be read: {error!r}.") from error


def _network(entry: Mapping[str, Any]) -> Network:
    tcp = [rule for rule in entry.get("ports") or () if rule.get("protocol") != "UDP"]
    ports = tuple(Ports(rule["port"], rule.get("end_port") or rule["port"]) for rule in tcp)
    if entry.get("ports") and not tcp:
        ports = (Ports(0, -1),)  # UDP only, which the proxy does not forward
    return Network(ipaddress.IPv4Network(entry["cidr"]), ports)


def _matches(host: str, pattern: str) -> bool:
    host, pattern = host.lower().rstrip("."), pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def _is_open(port: int, ports: tuple[Ports, ...]) -> bool:
    return not ports or any(span.first <= port <= span.last for span in ports)
