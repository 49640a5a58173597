"""Leads the connections of programs that use no proxy to the service, in a network namespace without a way out.

There is no interface but the loopback. Whatever has no other route is sent there, and rules redirect TCP connections
and DNS queries to two ports of it, where the service listens: it knows where each was meant to go. The rest is refused.
The rules belong to the sandbox's PID 1; commands run in a child user namespace, or without the capability, and cannot
change them. IPv6 has no route, so programs use IPv4.
"""

from __future__ import annotations

import errno
import socket

from runloop_local.sandbox import netlink

TCP_PORT, DNS_PORT = 13129, 13130
PORTS = (TCP_PORT, DNS_PORT)
OWN_ADDRESS = "192.0.0.2"
"""The sandbox's address, of a network for such uses (RFC 7335)."""
_TABLE = "devbox"
_LOOPBACK = bytes([127])
_DNS = 53
_NAT_PRIORITY = -100


def start() -> str | None:
    """Capture the connections of this network namespace; returns why that is not possible here, if it is not."""
    try:
        loopback = socket.if_nametoindex("lo")
        netlink.send(
            netlink.ROUTE, [netlink.address(loopback, OWN_ADDRESS), netlink.default_route(loopback, OWN_ADDRESS)]
        )
        netlink.send(netlink.NETFILTER, _rules())
    except OSError as error:
        what = "this kernel has no nf_tables with NAT" if error.errno == errno.ENOENT else error.strerror
        return f"packets cannot be redirected ({what})"
    return None


def _rules() -> list[bytes]:
    own = [(*netlink.to(prefix), netlink.accept()) for prefix in (_LOOPBACK, socket.inet_aton(OWN_ADDRESS))]
    connections = (*netlink.protocol(socket.IPPROTO_TCP), *netlink.redirect(TCP_PORT))
    names = (*netlink.protocol(socket.IPPROTO_UDP), *netlink.to_port(_DNS), *netlink.redirect(DNS_PORT))
    return netlink.batch(
        netlink.table(_TABLE),
        netlink.chain(_TABLE, "redirect", "nat", _NAT_PRIORITY),
        *(netlink.rule(_TABLE, "redirect", *each) for each in (*own, connections, names)),
        netlink.chain(_TABLE, "refuse", "filter", 0),
        *(netlink.rule(_TABLE, "refuse", *each) for each in (*own, (netlink.reject(),))),
    )
