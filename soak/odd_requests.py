"""Generates invalid and unusual requests at random, as bytes."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tests.contract import schema
from tests.contract.schema import body_schema, operations

from .odd_tables import (
    BODIES,
    FORM_TYPES,
    FORMS,
    FRAMES,
    HANDSHAKE,
    HEADERS,
    HOSTS,
    IDS,
    JUNK,
    METHODS,
    NEARLY,
    PATHS,
    QUERIES,
    STORED,
    TERMINALS,
)
from .odd_values import DEPTH, LEFT_OUT, Description, spoiled

_OPENAPI: dict[str, Any] = json.loads(Path(schema.__file__).with_name("openapi.json").read_text())
_DESCRIPTION = Description(_OPENAPI["components"]["schemas"])
OPERATIONS = [(method, path) for method, path, _ in operations()]
ENDINGS = ("delete", "shutdown", "suspend", "remove_tunnel", "complete", "kill")
"""Operations that end their resource: rarely sent for one that exists."""
HOLDS = (
    "wait_for_status",
    "stream_std",
    "subscribe",
    "evictions/watch",
    "execute",
    "create_and_await",
    "snapshot_disk",
)
"""Operations that may answer late, or stream without end."""
Kind = Literal["whole", "holds", "broken"]


@dataclass(frozen=True, slots=True)
class Target:
    """The service to send requests to, and its resources."""

    host: str
    key: str
    ids: Mapping[str, str]
    """The values of path parameters, by the prefix of the path template that ends in the parameter."""
    tunnel: str = ""
    """The host name of a terminal's tunnel."""
    token: str = ""
    upload_url: str = ""
    """The path of an object's upload."""


@dataclass(frozen=True, slots=True)
class Odd:
    """One odd request."""

    raw: bytes
    kind: Kind
    """`whole`: one request with one response. `holds`: it may be answered late. `broken`: it has no defined end."""
    listens: bool = True
    """True if the response is read before the end of the connection is sent."""

    def __str__(self) -> str:
        return f"{self.raw[:600]!r}{f' ... {len(self.raw)} bytes' if len(self.raw) > 600 else ''}"


def odd_request(order: random.Random, target: Target) -> Odd:
    """Generate a request in which something is odd."""
    make = order.choices(list(_MAKERS), list(_MAKERS.values()))[0]
    odd = make(order, target)
    return replace(odd, listens=odd.kind != "broken" or order.random() < (0.8 if make is odd_sockets else 0.2))


def _kind(method: str, path: str) -> Kind:
    return "holds" if any(word in path for word in HOLDS) else "whole"


def _real_path(path: str, order: random.Random, target: Target) -> str:
    """The path of an existing resource, unless the request would end it."""
    if path.endswith(ENDINGS) and order.random() < 0.98:
        return _odd_path(path, order)
    return re.sub(r"{\w+}", lambda found: target.ids.get(path[: found.end()], "x"), path)


def _odd_path(path: str, order: random.Random) -> str:
    odd = order.choice(IDS)
    return re.sub(r"{\w+}", lambda _: quote(odd, safe="%{}*;?#'=.") if "%" not in odd else odd, path)


def _head(method: str, path: str, target: Target, *more: str) -> bytes:
    host = target.tunnel if path.startswith("/pty") else target.host
    key = target.token if path.startswith("/pty") else target.key
    names = {line.partition(":")[0].lower() for line in more}
    usual = [f"host: {host}", f"authorization: Bearer {key}"]
    lines = [f"{method} {path} HTTP/1.1", *(line for line in usual if line.partition(":")[0] not in names), *more]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def _with_body(method: str, path: str, target: Target, body: bytes, *more: str) -> bytes:
    return _head(method, path, target, "content-type: application/json", f"content-length: {len(body)}", *more) + body


def _operation(order: random.Random) -> tuple[str, str]:
    return order.choice(OPERATIONS)


def _body(order: random.Random, method: str, path: str, times: int) -> bytes:
    described = body_schema(method, path) or {"type": "object"}
    kept = {name: value for name, value in described.get("properties", {}).items() if name not in LEFT_OUT}
    value = _DESCRIPTION.value({**described, "properties": kept}, order)
    return spoiled(value, order, times).encode("utf-8", "surrogatepass")


def odd_values(order: random.Random, target: Target) -> Odd:
    """A body with odd values in some places, sometimes in none."""
    method, path = order.choice([each for each in OPERATIONS if each[0] == "POST"])
    body = _body(order, method, path, order.choice((0, 1, 1, 1, 2, 4)))
    return Odd(_with_body(method, _real_path(path, order, target), target, body), _kind(method, path))


def odd_bodies(order: random.Random, target: Target) -> Odd:
    """A body that is not JSON."""
    method, path = order.choice([each for each in OPERATIONS if each[0] == "POST"])
    body = _body(order, method, path, 0)
    odd = order.choice((
        b"", b"{", b"[]", b'"x"', b"7", b"null", b"\xff\xfe", b"[" * DEPTH, b'{"a":' * DEPTH, b"{}" * 2, b" " * 100_000,
        b"\xef\xbb\xbf" + body, body[: len(body) // 2], body + b"\0", body.decode("utf-8", "replace").encode("utf-16"),
        body.replace(b'"', b"'"), b"a=b&c=d", order.randbytes(order.randrange(300)),
    ))  # fmt: skip
    return Odd(_with_body(method, _real_path(path, order, target), target, odd), _kind(method, path))


def odd_paths(order: random.Random, target: Target) -> Odd:
    """An operation on a resource that does not exist, with an odd path."""
    method, path = _operation(order)
    path = _odd_path(path, order)
    if order.random() < 0.3:
        path = order.choice((f"/{path}", f"{path}/", path.upper(), path.replace("/v1", "/v1/."), f"{path}/x", *PATHS))
    if not path.isascii() or re.search(r"[\s#]", path):
        return Odd(_head(method, path, target), "broken")
    if method == "GET":
        return Odd(_head(method, path, target), _kind(method, path))
    return Odd(_with_body(method, path, target, b"{}"), _kind(method, path))


def odd_queries(order: random.Random, target: Target) -> Odd:
    """A list or a stream with an odd query."""
    method, path = order.choice([each for each in OPERATIONS if each[0] == "GET"])
    query = "&".join(order.choice(QUERIES) for _ in range(order.choice((1, 1, 2))))
    return Odd(_head(method, f"{_real_path(path, order, target)}?{query}", target), _kind(method, path))


def odd_methods(order: random.Random, target: Target) -> Odd:
    """A method that the path does not have."""
    _, path = _operation(order)
    method = order.choice(METHODS)
    path = _odd_path(path, order) if path.endswith(ENDINGS) or method == "DELETE" else _real_path(path, order, target)
    usual = (
        method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") and path.isascii() and " " not in path
    )
    return Odd(_with_body(method, path, target, b"{}"), _kind(method, path) if usual else "broken")


def odd_headers(order: random.Random, target: Target) -> Odd:
    """Headers that are wrong, doubled, or far too many."""
    method, path = order.choice([each for each in OPERATIONS if not each[1].endswith(ENDINGS)])
    path, more = _real_path(path, order, target), [order.choice(HEADERS) for _ in range(order.choice((1, 1, 3)))]
    if order.random() < 0.2:
        more.append(order.choice((*HOSTS, f"host: {target.host}\r\nhost: x")))
    return Odd(_with_body(method, path, target, b"{}", *more), "broken")


def odd_lengths(order: random.Random, target: Target) -> Odd:
    """A body with a wrong length, or with invalid chunks."""
    method, path = order.choice([each for each in OPERATIONS if each[0] == "POST" and not each[1].endswith(ENDINGS)])
    length, body = order.choice(BODIES)
    head = _head(method, _real_path(path, order, target), target, "content-type: application/json", length)
    return Odd(head + body, "broken")


def odd_uploads(order: random.Random, target: Target) -> Odd:
    """An invalid form, or bytes for an object that does not exist."""
    if order.random() < 0.3:
        path = target.upload_url or "/storage/x"
        odd = order.choice((path, path[:-5], f"{path}&x=y", path.replace("=", "=%00"), *STORED))
        method = order.choice(("PUT", "GET", "POST", "DELETE"))
        return Odd(_head(method, odd, target, "content-length: 3") + b"abc", "broken")
    path, body = _real_path("/v1/devboxes/{id}/upload_file", order, target), order.choice(FORMS)
    kind = order.choice(FORM_TYPES)
    return Odd(_head("POST", path, target, f"content-type: {kind}", f"content-length: {len(body)}") + body, "broken")


def odd_sockets(order: random.Random, target: Target) -> Odd:
    """An invalid WebSocket handshake, or a valid one with odd frames after it."""
    lines = [line if order.random() < 0.8 else order.choice(odd) for line, odd in HANDSHAKE.items()]
    host = order.choice((target.tunnel, target.tunnel, target.tunnel, target.host, f"0-{'x' * 70}.tunnel.localhost:1"))
    token = order.choice((target.token, target.token, "x", "", "a, b"))
    more = [*lines, f"sec-websocket-protocol: {token}", f"host: {host}"]
    return Odd(_head("GET", order.choice(TERMINALS), target, *more) + order.choice(FRAMES), "broken")


def odd_bytes(order: random.Random, target: Target) -> Odd:
    """Data that is not HTTP, or almost."""
    good = _head("GET", "/v1/devboxes", target)
    nearly = [good.replace(old, new) for old, new in NEARLY]
    odd = (*JUNK, *nearly, good[:-2], good * 3, order.randbytes(order.randrange(1, 2000)), _mangled(good, order))
    return Odd(order.choice(odd), "broken")


def _mangled(data: bytes, order: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(order.randint(1, 5)):
        found[order.randrange(len(found))] = order.randrange(256)
    return bytes(found)


_MAKERS: dict[Callable[[random.Random, Target], Odd], int] = {
    odd_values: 10,
    odd_bodies: 3,
    odd_paths: 3,
    odd_queries: 3,
    odd_methods: 2,
    odd_headers: 2,
    odd_lengths: 2,
    odd_uploads: 2,
    odd_sockets: 1,
    odd_bytes: 1,
}
