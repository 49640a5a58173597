"""Connections that a devbox begins, held until the service has reached their server.

The kernel would complete a connection that it redirects at once, whether or not the server can be reached. So
`capture` drops each packet that begins one, and passes a copy here. Once the server has answered, the packet is sent
again, with a mark that lets it pass, or its sender is told what the server's network would have told it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Literal, NamedTuple

from runloop_local.sandbox import netlink

if TYPE_CHECKING:
    from collections.abc import Callable

_ADDRESSES = struct.Struct("!12x4s4s")
_PORTS = struct.Struct("!HHI")
_SHORTEST = 20
"""The bytes of a header of IPv4 or TCP without options."""
_ICMP_UNREACHABLE = 3
_CODES = {"unreachable": 1, "prohibited": 13}
_RESET, _ACKNOWLEDGE = 0x04, 0x10
_REPLY_BYTES = 1 << 16
_READ_AT_ONCE = 32
Refusal = Literal["refused", "unreachable", "prohibited"]


class Opening(NamedTuple):
    """A packet that begins a TCP connection."""

    source: tuple[str, int]
    address: IPv4Address
    port: int
    sequence: int
    headers: bytes
    """Of IP and TCP, without what may follow."""

    @property
    def key(self) -> Key:
        """The connection that it begins."""
        return (*self.source, str(self.address), self.port)


Key = tuple[str, int, str, int]


def parse(packet: bytes) -> Opening | None:
    """Read a packet; None if it is cut, or not TCP over IPv4."""
    if len(packet) < 2 * _SHORTEST or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return None
    begin = (packet[0] & 0xF) * 4
    if begin < _SHORTEST or len(packet) < begin + _SHORTEST:
        return None
    end = begin + (packet[begin + 12] >> 4) * 4
    if end < begin + _SHORTEST or len(packet) < end:
        return None
    source, target = _ADDRESSES.unpack_from(packet)
    from_port, port, sequence = _PORTS.unpack_from(packet, begin)
    return Opening((socket.inet_ntoa(source), from_port), IPv4Address(target), port, sequence, packet[:end])


def again(opening: Opening) -> bytes:
    """The packet to send again. Its checksum was left to a network card, which there is none of."""
    begin = (opening.headers[0] & 0xF) * 4
    tcp = bytearray(opening.headers[begin:])
    tcp[16:18] = bytes(2)
    head = opening.headers[:2] + struct.pack("!H", len(opening.headers)) + opening.headers[4:begin]
    return head + _with_checksum(tcp, 16, _pseudo_header(opening.headers[12:20], len(tcp)))


def refusal(opening: Opening, how: Refusal) -> bytes:
    """The packet that tells the sender that its connection cannot be had."""
    addresses = opening.address.packed + socket.inet_aton(opening.source[0])
    if how == "refused":
        acknowledged = (opening.sequence + 1) & 0xFFFFFFFF
        ports = struct.pack("!HHII", opening.port, opening.source[1], 0, acknowledged)
        flags = struct.pack("!BBHHH", 5 << 4, _RESET | _ACKNOWLEDGE, 0, 0, 0)
        body = _with_checksum(bytearray(ports + flags), 16, _pseudo_header(addresses, _SHORTEST))
        protocol = socket.IPPROTO_TCP
    else:
        told = struct.pack("!BBHI", _ICMP_UNREACHABLE, _CODES[how], 0, 0) + opening.headers
        body, protocol = _with_checksum(bytearray(told), 2, b""), socket.IPPROTO_ICMP
    version, lifetime = 0x45, 64
    head = struct.pack("!BBHHHBBH", version, 0, _SHORTEST + len(body), 0, 0, lifetime, protocol, 0)
    return head + addresses + body


def _pseudo_header(addresses: bytes, length: int) -> bytes:
    return addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, length)


def _with_checksum(data: bytearray, position: int, before: bytes) -> bytes:
    """The data with the checksum of the internet's protocols at this position, where it has zeros."""
    counted = before + bytes(data) + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(counted) // 2}H", counted))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", data, position, total ^ 0xFFFF)
    return bytes(data)


class HeldConnections:
    """The connections of one devbox that begin; `take` is called with each."""

    def __init__(
        self, packets: socket.socket, answers: socket.socket, take: Callable[[HeldConnections, Opening], None]
    ) -> None:
        self._packets = packets
        self._answers = answers
        self._take = take
        self._loop = asyncio.get_running_loop()
        for sock in (packets, answers):
            sock.setblocking(False)
        self._loop.add_reader(packets, self._readable)

    def admit(self, opening: Opening) -> None:
        """Let the connection begin."""
        self._send(again(opening), str(opening.address))

    def refuse(self, opening: Opening, how: Refusal) -> None:
        """Tell the program why it cannot connect."""
        self._send(refusal(opening, how), opening.source[0])

    def close(self) -> None:
        """Close the sockets."""
        self._loop.remove_reader(self._packets)
        self._packets.close()
        self._answers.close()

    def _readable(self) -> None:
        for _ in range(_READ_AT_ONCE):  # then others have a turn
            try:
                data = self._packets.recv(_REPLY_BYTES)
            except OSError:  # nothing more, or more than was read in time: programs send it again
                return
            for packet in netlink.logged(data):
                opening = parse(packet)
                if opening is not None:
                    self._take(self, opening)

    def _send(self, packet: bytes, target: str) -> None:
        with suppress(OSError):  # lost like any packet: programs send theirs again
            self._answers.sendto(packet, (target, 0))
