"""The host names of tunnels: `{port}-{key}.tunnel.localhost`, at the service's own port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Scope

DOMAIN = "tunnel.localhost"
_NAME = re.compile(rf"(?P<port>\d{{1,5}})-(?P<key>[0-9a-z]+)\.{re.escape(DOMAIN)}:(?P<own>\d{{1,5}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A port of the devbox that a key leads to."""

    port: int
    key: str


def parse(host: str, own_port: int | None) -> Target | None:
    """What a Host header means; None when it names no tunnel of the service at `own_port`."""
    found = _NAME.fullmatch(host.lower())
    if found is None or int(found["own"]) != own_port or not 0 < int(found["port"]) < 65536:
        return None
    return Target(int(found["port"]), found["key"])


def target_of(scope: Scope) -> Target | None:
    """The tunnel that an ASGI connection is for."""
    if scope["type"] not in ("http", "websocket"):
        return None
    return parse(Headers(scope=scope).get("host", ""), scope["server"][1])
