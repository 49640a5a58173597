"""Rewrites headers for the reverse proxy. Names are in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connection import AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Header = tuple[bytes, bytes]

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade"}
)
_REPLACED = frozenset({AUTHORIZATION.encode(), b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """The headers that are forwarded to the next hop."""
    headers = list(headers)
    named = {word.strip().lower() for name, value in headers if name == b"connection" for word in value.split(b",")}
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named]


def forwarded(headers: Iterable[Header], client: str) -> Iterator[Header]:
    """The headers of a forwarded request: without the tunnel's token, with X-Forwarded-*."""
    headers = list(headers)
    yield from ((name, value) for name, value in headers if name not in _REPLACED)
    earlier = [value for name, value in headers if name == b"x-forwarded-for"]
    yield b"x-forwarded-for", b", ".join([*earlier, client.encode()])
    yield b"x-forwarded-proto", b"http"
    yield from ((b"x-forwarded-host", value) for name, value in headers if name == b"host")
