"""The head of a request, in HTTP/1.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlencode

from ._messages import HTTPRequest, InvalidRequestError

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def head_of(request: HTTPRequest, url: SplitResult) -> bytes:
    """The request line and the headers; raises `InvalidRequestError` for characters that would break them."""
    target = quote(url.path or "/", safe=_PRINTABLE) + ("?" + _query_string(request.query) if request.query else "")
    fields = {"host": url.netloc.rpartition("@")[2], **_body_headers(request), **request.headers}
    lines = [f"{request.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()], "", ""]
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError as error:
        raise InvalidRequestError("a header is no ASCII") from error
    if not head.count(b"\n") == head.count(b"\r") == len(fields) + 2 or b"\0" in head:
        raise InvalidRequestError("a header has a line break or a NUL")
    return head


def _body_headers(request: HTTPRequest) -> dict[str, str]:
    """The header that frames the body, unless the request has its own."""
    if not isinstance(request.body, bytes):
        return {} if "content-length" in request.headers else {"transfer-encoding": "chunked"}
    return {"content-length": str(len(request.body))} if request.body or request.method != "GET" else {}


def _query_string(query: Mapping[str, Any]) -> str:
    """Encode a query for a URL; the name of a list is repeated for each value."""
    return urlencode([(name, _query_text(each)) for name, value in query.items() for each in _each(value)])


def _each(value: object) -> Iterator[object]:
    yield from value if isinstance(value, list | tuple) else (value,)


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
