"""What a devbox asks of its proxy, read strictly. Decides; connects to nothing.

Policies, the resolver and the server asked must all see the same host, so nothing passes that two of them could read
in two ways: no NUL, no number in another notation, no second Host header, no line that ends in the middle.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAME_CHARACTERS = 253
_OF_THE_CONNECTION = frozenset({b"host", b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"})


class RefusedError(Exception):
    """A request that is not passed on: an HTTP status and one sentence."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """A request that can be passed on: whom to connect to, and what to send there first."""

    host: str
    port: int
    head: bytes | None
    """The request as its server expects it; None for CONNECT, after which bytes are relayed."""


def parse(head: bytes) -> ProxyRequest:
    """The request that begins with `head`, which ends in an empty line; raises `RefusedError`."""
    line, *fields = head[:-4].split(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or not _METHOD.fullmatch(parts[0]) or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise RefusedError("400 Bad Request", "This is an HTTP proxy, and that was no HTTP request.")
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
    """Authority and path of an address without its scheme; a fragment is the client's own."""
    place = next((number for number, character in enumerate(rest) if character in "/?#"), len(rest))
    path = rest[place:].partition("#")[0]
    return rest[:place], path if path.startswith("/") else f"/{path}"


def _host_and_port(authority: str, target: str, default: int) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(authority)
    port = default if found is None or found["port"] is None else int(found["port"])
    host = None if found is None else checked_host(found["host"])
    if host is None or not 0 < port < 65536:
        raise _no_address(target)
    return host, port


def checked_host(host: str) -> str | None:
    """A host as policies and resolvers read it alike, lower case and without a dot at its end; None for no host.

    A dotted address of four numbers, an address in brackets, or a name of labels whose last is no number: what the
    system's resolver takes for an address in another notation (0x7f.1, 2130706433) is none.
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
    """As the server expects it, its Host the one that was connected to. One to a connection: the next may be another's.

    Raises `RefusedError` for a field that a server could read in another way than this proxy.
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
    return RefusedError("400 Bad Request", f"{target[:300]} is no address that this proxy can ask.")
