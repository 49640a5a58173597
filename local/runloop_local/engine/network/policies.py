"""Network policies: what devboxes may reach. Decides; connects to nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UnreadableError

if TYPE_CHECKING:
    from ...sandbox.base import Address


@dataclass(frozen=True, slots=True)
class Ports:
    """A range of TCP ports."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses, and the ports that are open on them; all where there are none."""

    addresses: ipaddress.IPv4Network
    ports: tuple[Ports, ...] = ()


@dataclass(frozen=True, slots=True)
class Egress:
    """What may be reached."""

    allow_all: bool
    hostnames: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def allows(self, host: str, port: int, address: Address | None) -> bool:
        """Whether a connection to `host` at `address` may be made; with no address, whether it may at any."""
        if self.allow_all or any(_fits(host, pattern) for pattern in self.hostnames):
            return True
        if address is None:
            return any(_is_open(port, network.ports) for network in self.networks)
        return any(address in network.addresses and _is_open(port, network.ports) for network in self.networks)


def loaded(policy: Mapping[str, Any]) -> Egress:
    """The rule of a policy as the API shows it; `UnreadableError` where it is none, so that it allows nothing."""
    try:
        egress = policy["egress"]
        networks = tuple(_network(entry) for entry in egress["allowed_cidrs"])
        return Egress(egress["allow_all"], tuple(egress["allowed_hostnames"]), networks)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"The network policy {policy.get('id')} cannot be read: {error!r}.") from error


def _network(entry: Mapping[str, Any]) -> Network:
    tcp = [rule for rule in entry.get("ports") or () if rule.get("protocol") != "UDP"]
    ports = tuple(Ports(rule["port"], rule.get("end_port") or rule["port"]) for rule in tcp)
    if entry.get("ports") and not tcp:
        ports = (Ports(0, -1),)  # for UDP only, which no proxy carries
    return Network(ipaddress.IPv4Network(entry["cidr"]), ports)


def _fits(host: str, pattern: str) -> bool:
    host, pattern = host.lower().rstrip("."), pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def _is_open(port: int, ports: tuple[Ports, ...]) -> bool:
    return not ports or any(span.first <= port <= span.last for span in ports)
