"""Classifies addresses as this machine's, its cloud's or its local networks', which are not open to devboxes."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from runloop_local.sandbox.base import Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),  # AWS, Google, Azure and most others
    ipaddress.ip_network("fd00:ec2::/32"),  # AWS over IPv6
    ipaddress.ip_network("fd20:ce::/32"),  # Google over IPv6
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's host
    ipaddress.ip_network("100.100.100.0/24"),  # Alibaba
    ipaddress.ip_network("192.0.0.192/32"),  # Oracle, older
)
"""The metadata endpoints of clouds, which hand a machine's credentials to anything that runs on it."""


def is_this_machine(address: Address) -> bool:
    """True if a connection would end on this machine, or nowhere; no policy opens these addresses."""
    plain = embedded(address)
    if plain is not None:
        return is_this_machine(plain)
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return True
    return _is_bindable(address)


def is_local_network(address: Address, networks: Iterable[Network]) -> bool:
    """True if the address is in one of `networks`, link-local, broadcast, or a cloud's metadata endpoint."""
    plain = embedded(address)
    if plain is not None:
        return is_local_network(plain, networks)
    if address.is_link_local or (address.version == 4 and int(address) == 0xFFFFFFFF):
        return True
    return any(address.version == each.version and address in each for each in (*METADATA, *networks))


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address embedded in an IPv6 one: mapped, NAT64 (64:ff9b::/96), 6to4 or compatible."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _TRANSLATED:
        return low
    return low if int(address) >> 32 == 0 and int(address) > 0xFFFF else None


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def own_networks(tables: Path = Path("/proc/net")) -> tuple[Network, ...]:
    """The networks that this machine reaches without a router; empty where /proc has no routing tables."""
    ipv4 = (_ipv4(line.split()) for line in _lines(tables / "route")[1:])
    ipv6 = (_ipv6(line.split()) for line in _lines(tables / "ipv6_route"))
    return tuple(network for network in (*ipv4, *ipv6) if network is not None and network.prefixlen)


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()
    except OSError:  # another system than Linux
        return []


def _ipv4(row: list[str]) -> Network | None:
    """Parse a row: interface, destination, gateway, ..., mask in the eighth column; numbers in native byte order."""
    if int(row[2], 16):
        return None
    destination, mask = (socket.inet_ntoa(struct.pack("=I", int(row[column], 16))) for column in (1, 7))
    return ipaddress.IPv4Network(f"{destination}/{mask}")


def _ipv6(row: list[str]) -> Network | None:
    """Parse a row: destination, its prefix length, source, its prefix length, next hop, ..."""
    if int(row[4], 16):
        return None
    return ipaddress.IPv6Network((int(row[0], 16), int(row[1], 16)))


def _is_bindable(address: Address) -> bool:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))  # only an address of this machine can be bound
        except OSError:
            return False
    return True
