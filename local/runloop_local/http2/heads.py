"""Translates heads between HTTP/2 and ASGI, which follows HTTP/1.1; refuses invalid ones. Does no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools

from ..request_check import check_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]

_TARGET = re.compile(rb"/[!-~]*")
_METHOD = re.compile(r"[A-Z-]{1,32}", re.ASCII)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Connection-specific headers of HTTP/1.1, which HTTP/2 forbids."""


class HeadError(Exception):
    """The head of a request is invalid; the text is a sentence."""

    def __init__(self, sentence: str, method: str) -> None:
        super().__init__(sentence)
        self.method = method


class RequestHead:
    """A request's head in the form of HTTP/1.1: `host` for `:authority`, chunked if no length is given.

    Raises `HeadError` for a head that the HTTP/1.1 parser or `request_check` would refuse.
    """

    def __init__(self, fields: Iterable[Header], *, has_body: bool) -> None:
        fields = list(fields)
        pseudo = {name: value for name, value in fields if name.startswith(b":")}
        self.headers = _with_host(pseudo.get(b":authority"), [field for field in fields if field[0] not in pseudo])
        method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
        self.method = method.decode("latin-1")
        found = self._head_error(target, pseudo.get(b":scheme"))
        if found is not None:
            raise HeadError(found, self.method)
        parsed = httptools.parse_url(target)  # as uvicorn does, so that both versions parse paths alike
        self.raw_path: bytes = parsed.path
        self.path = unquote(self.raw_path.decode())
        self.query: bytes = parsed.query or b""
        if has_body and not any(name == b"content-length" for name, _ in self.headers):
            self.headers.append((b"transfer-encoding", b"chunked"))

    def scope(self, server: tuple[str, int | None] | None, client: tuple[str, int] | None) -> dict[str, Any]:
        """The ASGI scope of the request, on a connection between these addresses."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "server": server,
            "client": client,
            "scheme": "http",
            "root_path": "",
            "state": {},
            "headers": self.headers,
            "method": self.method,
            "path": self.path,
            "raw_path": self.raw_path,
            "query_string": self.query,
        }

    def _head_error(self, target: bytes, scheme: bytes | None) -> str | None:
        if self.method == "CONNECT" or not _METHOD.fullmatch(self.method):
            return "The service has no such method."
        if scheme != b"http":
            return "The scheme of a request must be http."
        if not _TARGET.fullmatch(target):
            return "The path must begin with / and consist of ASCII without spaces and control characters."
        return _wrong_field(self.headers) or check_head("2", target, self.headers)


def _with_host(authority: bytes | None, headers: list[Header]) -> list[Header]:
    if authority is None:
        return headers
    return [(b"host", authority), *(header for header in headers if header != (b"host", authority))]


def _wrong_field(headers: Sequence[Header]) -> str | None:
    if any(not _NAME.fullmatch(name) for name, _ in headers):
        return "The name of a header must consist of lower-case letters, digits and some signs."
    if any(_CONTROL.search(value) for _, value in headers):
        return "A header contains a control character."
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        return "A body must have one length, which is a whole number."
    return None


def reply_head(status: int, headers: Iterable[Header]) -> list[Header]:
    """The head of a response; raises `ValueError` for a header that HTTP/1.1 could not send either."""
    lowered = [(name.lower(), value) for name, value in headers]
    for name, value in lowered:
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise ValueError(f"The header {name!r} cannot be sent.")
    return [(b":status", b"%d" % status), *(field for field in lowered if field[0] not in _CONNECTION)]


def length_of(headers: Iterable[Header]) -> int | None:
    """The content length in a checked head, or None."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)
