"""Parses requests to the egress proxy, strictly; does no I/O.

The policy, the resolver and the server must all see the same host, so nothing passes that two of them could read
differently: no NUL, no IPv4 address in another notation, no second Host header, no bare line feed in a header.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAME_CHARACTERS = 253
_OF_THE_CONNECTION = frozenset({b"host", b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"})


class RefusedError(Exception):
    """The request is not forwarded; holds the HTTP status and a sentence for the user."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ProxyRequest(NamedTuple):
    """A valid request: the host and port to connect to, and the head to send there."""

    host: str
    port: int
    head: bytes | None
    """The head in the form that an origin server expects; None for CONNECT, after which bytes are relayed."""


def parse(head: bytes) -> ProxyRequest:
    """Parse the head of a request, including its final empty line; raises `RefusedError`."""
    line, *fields = head[:-4].split(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or not _METHOD.fullmatch(parts[0]) or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise RefusedError("400 Bad Request", "This is an HTTP proxy, and that was not an HTTP request.")
    target = _text(parts[1])
    if parts[0] == b"CONNECT":
        return ProxyRequest(*_host_and_port(target, target, 443), head=None)
    scheme, _, rest = target.partition("://")
    authority, path = _split(rest)
    if scheme.lower() != "http":
        raise _no_address(target)
    host, port = _host_and_port(authority, target, 80)
    return ProxyRequest(host, port, _head(parts[0], path, authority, fields))


def _text(target: bytes) -> str:
    if any(byte <= 0x20 or byte >= 0x7F for byte in target):
        raise _no_address(target.decode("ascii", "backslashreplace"))
    return target.decode("ascii")


def _split(rest: str) -> tuple[str, str]:
    """Split a URL without its scheme into authority and path; a fragment is dropped."""
    end = next((number for number, character in enumerate(rest) if character in "/?#"), len(rest))
    path = rest[end:].partition("#")[0]
    return rest[:end], path if path.startswith("/") else f"/{path}"


def _host_and_port(authority: str, target: str, default: int) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(authority)
    port = default if found is None or found["port"] is None else int(found["port"])
    host = None if found is None else checked_host(found["host"])
    if host is None or not 0 < port < 65536:
        raise _no_address(target)
    return host, port


def checked_host(host: str) -> str | None:
    """Normalize a host so that policies and resolvers read it alike: lower case, no final dot. None if invalid.

    Valid are a dotted IPv4 address, an IPv6 address in brackets, and a DNS name whose last label is not a number:
    the system's resolver would take 0x7f.1 or 2130706433 for an address.
    """
    if host.startswith("["):
        inside = host[1:-1] if host.endswith("]") and "%" not in host else ""
        try:
            return str(ipaddress.IPv6Address(inside))
        except ValueError:
            return None
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        name = host.removesuffix(".").lower()
    labels = name.split(".")
    if len(name) > _NAME_CHARACTERS or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        return None
    return name


def _head(method: bytes, path: str, authority: str, fields: list[bytes]) -> bytes:
    """Build the head for the origin server, with the Host that is connected to.

    `Connection: close`, because a second request on the connection could be for another host. Raises `RefusedError`
    for a header field that a server could read differently from this proxy.
    """
    kept = [line for line in map(_checked_field, fields) if line is not None]
    first = b"%b %b HTTP/1.1" % (method, path.encode("ascii"))
    return b"\r\n".join([first, b"Host: " + authority.encode("ascii"), *kept, b"Connection: close", b"", b""])


def _checked_field(line: bytes) -> bytes | None:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise RefusedError("400 Bad Request", "A header of the request is malformed.")
    return None if found[1].lower() in _OF_THE_CONNECTION else line


def _no_address(target: str) -> RefusedError:
    return RefusedError("400 Bad Request", f"{target[:300]} is not an address that this proxy can connect to.")
