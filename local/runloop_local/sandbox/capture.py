"""Leads the connections of programs that use no proxy to the service, in a network namespace without a way out.

There is no interface but the loopback. Whatever has no other route is sent there, and rules redirect TCP connections
and DNS queries to two ports of it, where the service listens: it knows where each was meant to go. The rest is refused.
The rules belong to the sandbox's PID 1; commands run in a child user namespace, or without the capability, and cannot
change them. A connection begins once its server has answered, see `held`. IPv6 has no route, so programs use IPv4.
"""

from __future__ import annotations

import errno
import socket
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from runloop_local.sandbox import netlink

if TYPE_CHECKING:
    from collections.abc import Sequence

TCP_PORT, DNS_PORT = 13129, 13130
PORTS = (TCP_PORT, DNS_PORT)
LISTENING = [(socket.SOCK_STREAM, TCP_PORT), (socket.SOCK_DGRAM, DNS_PORT)]
OWN_ADDRESS = "192.0.0.2"
"""The sandbox's address, of a network for such uses (RFC 7335)."""
_TABLE = "devbox"
_LOOPBACK = bytes([127])
_DNS = 53
_HOLD_PRIORITY, _NAT_PRIORITY = -150, -100
_LOG_GROUP = 1
_ADMITTED = 1
"""The mark of packets that begin a connection whose server has answered."""
_SYN, _ACK = 0x02, 0x10


class Capture(NamedTuple):
    """What is captured in a network namespace."""

    problem: str = ""
    """Why nothing is."""
    holding: Sequence[socket.socket] = ()
    """The sockets of `HeldConnections`, for packets and answers; none where this kernel cannot log packets."""


def prepare() -> None:
    """Make the messages that set it up, once for all sandboxes: that takes as long as to send them."""
    _rules()
    _holding_rules()


def start() -> Capture:
    """Capture the connections of this network namespace."""
    try:
        loopback = socket.if_nametoindex("lo")
        netlink.send(
            netlink.ROUTE, [netlink.address(loopback, OWN_ADDRESS), netlink.default_route(loopback, OWN_ADDRESS)]
        )
        netlink.send(netlink.NETFILTER, _rules())
    except OSError as error:
        what = "this kernel has no nf_tables with NAT" if error.errno == errno.ENOENT else error.strerror
        return Capture(f"packets cannot be redirected ({what})")
    return Capture(holding=_hold())


def _hold() -> list[socket.socket]:
    """Hold connections that begin until the service admits them."""
    held: list[socket.socket] = []
    try:
        held.append(netlink.open_log(_LOG_GROUP))
        held.append(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        held[1].setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _ADMITTED)
        netlink.send(netlink.NETFILTER, _holding_rules())
    except OSError:  # connections then begin before their server has answered, and are reset if it does not
        for sock in held:
            sock.close()
        return []
    return held


@cache
def _holding_rules() -> list[bytes]:
    passing = [
        *((*netlink.to(prefix), netlink.accept()) for prefix in (_LOOPBACK, socket.inet_aton(OWN_ADDRESS))),
        (*netlink.marked(_ADMITTED), netlink.accept()),
        (*netlink.protocol(socket.IPPROTO_TCP), *netlink.to_port(_DNS), netlink.accept()),
    ]
    begins = netlink.tcp_flags(_SYN | _ACK, _SYN)
    return netlink.batch(
        netlink.chain(_TABLE, "hold", "filter", _HOLD_PRIORITY),
        *(netlink.rule(_TABLE, "hold", *each) for each in passing),
        netlink.rule(_TABLE, "hold", *begins, netlink.log(_LOG_GROUP), netlink.drop()),
    )


@cache
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
