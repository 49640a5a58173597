"""Messages by which the kernel's network is set up: addresses and routes (rtnetlink), packet rules (nf_tables)."""

from __future__ import annotations

import os
import socket
import struct

ROUTE, NETFILTER = 0, 12
"""The netlink protocols."""
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000
_NEW_ADDRESS, _NEW_ROUTE = 20, 24
_BATCH_BEGIN, _BATCH_END = 16, 17
_TABLES = 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = (_TABLES << 8 | number for number in (0, 3, 6))
_HEADER = struct.Struct("=IHHII")
_REPLY_BYTES = 1 << 16


def attribute(number: int, *parts: bytes | int | str) -> bytes:
    """An attribute: a text, a number in network byte order, bytes, or several nested attributes."""
    match parts:
        case (str() as text,):
            value = text.encode() + b"\0"
        case (int() as number_value,):
            value = struct.pack("!I", number_value & 0xFFFFFFFF)
        case _:
            value = b"".join(part for part in parts if isinstance(part, bytes))
    length = 4 + len(value)
    return struct.pack("=HH", length, number) + value + bytes(-length % 4)


def nested(number: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(number | _NESTED, b"".join(attributes))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 0, 0) + body


def _change(kind: int, flags: int, body: bytes) -> bytes:
    return _message(kind, flags | _CREATE | _ACKNOWLEDGE, body)


def address(interface: int, given: str) -> bytes:
    """Give an interface this IPv4 address."""
    packed = socket.inet_aton(given)
    head = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, interface)
    return _change(_NEW_ADDRESS, 0, head + attribute(2, packed) + attribute(1, packed))


def default_route(interface: int, source: str) -> bytes:
    """Send whatever has no other route to this interface, from this address."""
    main_table, by_boot, on_link, unicast = 254, 3, 253, 1
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, main_table, by_boot, on_link, unicast, 0)
    output = attribute(4, struct.pack("=I", interface))
    return _change(_NEW_ROUTE, 0, head + output + attribute(7, socket.inet_aton(source)))


def _of_family(family: int, resource: int = 0) -> bytes:
    return struct.pack("!BBH", family, 0, resource)


def table(name: str) -> bytes:
    """A table of IPv4 rules."""
    return _change(_NEW_TABLE, 0, _of_family(socket.AF_INET) + attribute(1, name))


def chain(table_name: str, name: str, kind: str, priority: int) -> bytes:
    """A chain for the packets that programs here send."""
    local_output = 3
    hook = nested(4, attribute(1, local_output), attribute(2, priority))
    body = attribute(1, table_name) + attribute(3, name) + hook + attribute(7, kind)
    return _change(_NEW_CHAIN, 0, _of_family(socket.AF_INET) + body)


def rule(table_name: str, chain_name: str, *expressions: bytes) -> bytes:
    """A rule at the end of a chain."""
    body = attribute(1, table_name) + attribute(2, chain_name) + nested(4, *expressions)
    return _change(_NEW_RULE, _APPEND, _of_family(socket.AF_INET) + body)


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, attribute(1, name), nested(2, *attributes))


def _equal(value: bytes) -> bytes:
    return _expression("cmp", attribute(1, 1), attribute(2, 0), nested(3, attribute(1, value)))


def to(prefix: bytes) -> tuple[bytes, ...]:
    """Match packets to the IPv4 addresses that begin with these bytes."""
    network, destination = 1, 16
    fields = (attribute(1, 1), attribute(2, network), attribute(3, destination), attribute(4, len(prefix)))
    return _expression("payload", *fields), _equal(prefix)


def protocol(number: int) -> tuple[bytes, ...]:
    """Match packets of this protocol."""
    of_layer_4 = 16
    return _expression("meta", attribute(1, 1), attribute(2, of_layer_4)), _equal(bytes([number]))


def to_port(number: int) -> tuple[bytes, ...]:
    """Match TCP or UDP packets to this port."""
    transport, destination = 2, 2
    fields = (attribute(1, 1), attribute(2, transport), attribute(3, destination), attribute(4, 2))
    return _expression("payload", *fields), _equal(struct.pack("!H", number))


def accept() -> bytes:
    """Let the packet pass this chain."""
    verdict = nested(2, attribute(1, 1))
    return _expression("immediate", attribute(1, 0), nested(2, verdict))


def redirect(port: int) -> tuple[bytes, ...]:
    """Send the packet to this port of the own loopback address."""
    value = nested(2, attribute(1, struct.pack("!H", port)))
    port_given = 2
    return (
        _expression("immediate", attribute(1, 1), value),
        _expression("redir", attribute(1, 1), attribute(3, port_given)),
    )


def reject() -> bytes:
    """Refuse the packet: its sender is told that it is prohibited (ICMP)."""
    unreachable, prohibited = 0, 13
    return _expression("reject", attribute(1, unreachable), attribute(2, bytes([prohibited])))


def batch(*changes: bytes) -> list[bytes]:
    """Changes of rules that are made as a whole, or not at all."""
    body = _of_family(socket.AF_UNSPEC, _TABLES)
    return [_message(_BATCH_BEGIN, 0, body), *changes, _message(_BATCH_END, 0, body)]


def send(netlink_protocol: int, messages: list[bytes]) -> None:
    """Make these changes in this process's network namespace; raises OSError for the first that is refused."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_protocol) as sock:
        sock.bind((0, 0))
        sock.send(b"".join(messages))
        left = sum(bool(_HEADER.unpack_from(message)[2] & _ACKNOWLEDGE) for message in messages)
        while left > 0:
            left -= _acknowledged(sock.recv(_REPLY_BYTES))


def _acknowledged(reply: bytes) -> int:
    """The number of changes that the kernel says it has made."""
    found, position = 0, 0
    while position < len(reply):
        length, kind, *_ = _HEADER.unpack_from(reply, position)
        if kind == _ERROR:
            (number,) = struct.unpack_from("=i", reply, position + _HEADER.size)
            if number:
                raise OSError(-number, os.strerror(-number))
            found += 1
        position += length + -length % 4
    return found
