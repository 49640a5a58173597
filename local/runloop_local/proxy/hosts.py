"""Parses the host names of tunnels: `{port}-{key}.tunnel.localhost`, at the service's own port."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Scope

DOMAIN = "tunnel.localhost"
_NAME = re.compile(rf"(?P<port>\d{{1,5}})-(?P<key>[0-9a-z]+)\.{re.escape(DOMAIN)}:(?P<own>\d{{1,5}})", re.ASCII)


class Target(msgspec.Struct, frozen=True):
    """A tunnel's key, and the port of its devbox."""

    port: int
    key: str


def parse(host: str, own_port: int | None) -> Target | None:
    """Parse a Host header; None if it is not a tunnel's name at `own_port`."""
    found = _NAME.fullmatch(host.lower())
    if found is None or int(found["own"]) != own_port or not 0 < int(found["port"]) < 65536:
        return None
    return Target(int(found["port"]), found["key"])


def target_of(scope: Scope) -> Target | None:
    """The target of an ASGI connection, or None if that is not for a tunnel."""
    if scope["type"] not in ("http", "websocket"):
        return None
    return parse(Headers(scope=scope).get("host", ""), scope["server"][1])
