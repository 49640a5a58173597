"""The packets of connections that a devbox begins: read, sent again, and answered."""

import socket
import struct
from ipaddress import IPv4Address

import pytest

from runloop_local.sandbox import netlink
from runloop_local.sandbox.held import Opening, Refusal, again, parse, refusal

ADDRESSES = socket.inet_aton("192.0.0.2") + socket.inet_aton("203.0.113.5")
OPTIONS = bytes([2, 4, 255, 215])
"""The largest segment, as a first packet has it."""


def first_packet(after: bytes = b"", *, options: bytes = OPTIONS) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", 40000, 5432, 0xFFFFFFFF, 0, (20 + len(options)) // 4 << 4, 2, 64240, 0x1234, 0)
    length = 20 + len(tcp) + len(options) + len(after)
    return struct.pack("!BBHHHBBH", 0x45, 0, length, 7, 0x4000, 64, 6, 0) + ADDRESSES + tcp + options + after


def checksum(data: bytes) -> int:
    """Zero where the data has a right one."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def opening(after: bytes = b"") -> Opening:
    found = parse(first_packet(after))
    assert found is not None
    return found


@pytest.mark.parametrize("after", [b"", b"data with the first packet"])
def test_a_packet_is_sent_again_without_what_follows_its_headers(after: bytes) -> None:
    found = opening(after)
    assert (found.source, found.address, found.port) == (("192.0.0.2", 40000), IPv4Address("203.0.113.5"), 5432)
    assert found.key == ("192.0.0.2", 40000, "203.0.113.5", 5432)
    sent = again(found)
    assert len(sent) == int.from_bytes(sent[2:4]) == 44
    assert (sent[:2], sent[4:36], sent[38:]) == (first_packet()[:2], first_packet()[4:36], first_packet()[38:])
    assert checksum(ADDRESSES + struct.pack("!BBH", 0, 6, 24) + sent[20:]) == 0


def test_a_refusal_is_a_reset_of_what_was_sent() -> None:
    sent = refusal(opening(), "refused")
    assert len(sent) == int.from_bytes(sent[2:4]) == 40
    assert sent[12:20] == ADDRESSES[4:] + ADDRESSES[:4]
    ports_and_numbers, flags = struct.unpack("!HHII", sent[20:32]), sent[33]
    assert (ports_and_numbers, flags) == ((5432, 40000, 0, 0), 0x14)
    assert checksum(sent[12:20] + struct.pack("!BBH", 0, 6, 20) + sent[20:]) == 0


@pytest.mark.parametrize(("how", "code"), [("unreachable", 1), ("prohibited", 13)])
def test_what_cannot_be_reached_is_told_with_the_headers_of_what_was_sent(how: Refusal, code: int) -> None:
    sent = refusal(opening(), how)
    assert (sent[9], sent[12:20], sent[20:22]) == (socket.IPPROTO_ICMP, ADDRESSES[4:] + ADDRESSES[:4], bytes([3, code]))
    assert sent[28:] == first_packet()
    assert checksum(sent[20:]) == 0


NO_OPENINGS = {
    "nothing": b"",
    "cut": first_packet()[:39],
    "cut in its options": first_packet()[:43],
    "of IPv6": b"\x60" + first_packet()[1:],
    "not TCP": first_packet()[:9] + b"\x11" + first_packet()[10:],
    "a short IP header": b"\x44" + first_packet()[1:],
    "a long IP header": b"\x4f" + first_packet()[1:],
    "a short TCP header": first_packet()[:32] + b"\x40" + first_packet()[33:],
}


@pytest.mark.parametrize("packet", NO_OPENINGS.values(), ids=NO_OPENINGS.keys())
def test_what_is_no_packet_of_tcp_is_left_alone(packet: bytes) -> None:
    assert parse(packet) is None


def message(kind: int, *attributes: bytes) -> bytes:
    body = bytes(4) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


LOGGED = {
    "one": (message(0x400, netlink.attribute(10, "prefix"), netlink.attribute(9, b"packet")), [b"packet"]),
    "two": (message(0x400, netlink.attribute(9, b"a")) + message(0x400, netlink.attribute(9, b"b")), [b"a", b"b"]),
    "another kind": (message(3, netlink.attribute(9, b"a")), []),
    "without a packet": (message(0x400), []),
    "cut": (message(0x400, netlink.attribute(9, b"packet"))[:-4], []),
    "an attribute without a length": (message(0x400, bytes(8)), []),
    "an attribute that is longer than its message": (message(0x400, struct.pack("=HH", 99, 9)), []),
}


@pytest.mark.parametrize(("data", "packets"), LOGGED.values(), ids=LOGGED.keys())
def test_the_packets_in_what_the_kernel_logs(data: bytes, packets: list[bytes]) -> None:
    assert list(netlink.logged(data)) == packets
