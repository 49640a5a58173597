"""Messages by which the kernel's network is set up: addresses and routes (rtnetlink), packet rules (nf_tables)."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTE, NETFILTER = 0, 12
"""The netlink protocols."""
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000
_LOGS, _CONFIGURE = 4, 1
_ATTRIBUTE = struct.Struct("=HH")
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


def marked(number: int) -> tuple[bytes, ...]:
    """Match packets of sockets with this mark."""
    mark = 3
    return _expression("meta", attribute(1, 1), attribute(2, mark)), _equal(struct.pack("=I", number))


def tcp_flags(mask: int, value: int) -> tuple[bytes, ...]:
    """Match TCP packets that have this value in these bits of their flags."""
    transport, position = 2, 13
    fields = (attribute(1, 1), attribute(2, transport), attribute(3, position), attribute(4, 1))
    bits = (nested(4, attribute(1, bytes([mask]))), nested(5, attribute(1, bytes(1))))
    masked = _expression("bitwise", attribute(1, 1), attribute(2, 1), attribute(3, 1), *bits)
    return *protocol(socket.IPPROTO_TCP), _expression("payload", *fields), masked, _equal(bytes([value]))


def log(group: int) -> bytes:
    """Pass a copy of the packet to the socket of this group, see `open_log`."""
    return _expression("log", attribute(1, struct.pack("!H", group)))


def drop() -> bytes:
    """Let the packet vanish."""
    verdict = nested(2, attribute(1, 0))
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
        _send(sock, messages)


def _send(sock: socket.socket, messages: list[bytes]) -> None:
    sock.bind((0, 0))
    sock.send(b"".join(messages))
    left = sum(bool(_HEADER.unpack_from(message)[2] & _ACKNOWLEDGE) for message in messages)
    while left > 0:
        left -= _acknowledged(sock.recv(_REPLY_BYTES))


def open_log(group: int) -> socket.socket:
    """A socket that gets a copy of each packet that the rules `log` for this group; raises OSError."""
    bind, whole = 1, 2
    wanted = (
        attribute(1, bytes([bind])),
        attribute(2, struct.pack("!IBx", _REPLY_BYTES, whole)),
        attribute(5, 1),  # not after a second, or a hundred of them
    )
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
    try:
        body = _of_family(socket.AF_UNSPEC, group)
        _send(sock, [_message(_LOGS << 8 | _CONFIGURE, _ACKNOWLEDGE, body + each) for each in wanted])
    except OSError:
        sock.close()
        raise
    return sock


def logged(data: bytes) -> Iterator[bytes]:
    """The packets in what such a socket has received."""
    family, payload = 4, 9
    for kind, begin, end in _parts(data, 0, len(data), _HEADER):
        if kind == _LOGS << 8:
            for number, first, last in _parts(data, begin + family, end, _ATTRIBUTE):
                if number == payload:
                    yield data[first:last]


def _parts(data: bytes, position: int, end: int, head: struct.Struct) -> Iterator[tuple[int, int, int]]:
    """The messages, or the attributes, in a part of the data: the kind of each, and where its content is."""
    while position + head.size <= end:
        length, kind = head.unpack_from(data, position)[:2]
        if length < head.size or position + length > end:
            return
        yield kind, position + head.size, position + length
        position += length + -length % 4


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
