"""Helpers of all routes: reading requests, finding the engine, JSON responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ..engine.errors import InvalidError, TooLargeError, WaitExpiredError
from ..engine.storage.idempotency import NO_REQUEST, rendered

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..engine.engine import Engine
    from ..engine.storage.idempotency import Attempt
    from ..engine.storage.store import Page

MAX_JSON_BYTES = 8 * 1024 * 1024
MAX_WRITE_BYTES = 2 * 100 * 1024 * 1024
"""The limit for requests that write a file of up to 100 MB: JSON escapes may take several bytes for one."""
HOLD_S = 25.0
"""The longest time that a wait is held: clients time out after 30 s."""
REQUEST_ID = "x-request-id"
"""The header that is the same when a client repeats a request."""
ATTEMPT, BODY = "runloop_local.attempt", "runloop_local.body"
"""Keys in a request's scope: its `Attempt`, and its body if that was read already."""

LARGEST = 2**63 - 1
"""The largest integer that SQLite can store."""


def engine_of(request: Request) -> Engine:
    """The engine behind the application."""
    engine: Engine = request.app.state.engine
    return engine


def path_id(request: Request, name: str = "id") -> str:
    """An id from the path."""
    return str(request.path_params[name])


def attempt_of(request: Request) -> Attempt:
    """The attempt to carry the request out; one without a request id if it has none."""
    attempt: Attempt = request.scope.get(ATTEMPT, NO_REQUEST)
    return attempt


async def read_bytes(request: Request, limit: int) -> bytes:
    """Read the request's body; raises `TooLargeError` above `limit` bytes. It can be read only once."""
    known: bytes | None = request.scope.pop(BODY, None)
    if known is not None:
        return known
    if (parse_integer(request.headers.get("content-length", "")) or 0) > limit:
        raise _too_large(limit)
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            raise _too_large(limit)
    return bytes(found)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The request's body is over {limit:,} bytes.")


def integer(request: Request, name: str, default: int, maximum: int = LARGEST, *, given: str | None = None) -> int:
    """An integer from 0 to `maximum` in the query, or else `given` in the body."""
    text = request.query_params.get(name) or given
    if not text:
        return default
    found = parse_integer(text)
    if found is None or found > maximum:
        raise InvalidError(f"{name} must be a whole number from 0 to {maximum}, not {text[:40]!r}.")
    return found


def parse_integer(text: str) -> int | None:
    """Parse a decimal integer from 0 to `LARGEST`; None if it is not one."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST)):
        return None
    return None if int(text) > LARGEST else int(text)


def flag(request: Request, name: str, *, default: bool, given: str | None = None) -> bool:
    """A boolean in the query, or else `given` in the body."""
    text = (request.query_params.get(name) or given or "").lower()
    return default if not text else text in ("true", "1")


def hold_seconds(asked: float | None) -> float:
    """The time to hold a wait: the requested one, up to the service's limit."""
    return HOLD_S if asked is None else max(0.0, min(asked, HOLD_S))


def wait_expired(what: str, statuses: list[str]) -> WaitExpiredError:
    """The error for a wait that timed out."""
    return WaitExpiredError(f"{what} is not yet {' or '.join(statuses)}; ask again.")


def page_response(key: str, page: Page) -> Response:
    """The response for one page of a list, with the items in the field `key`."""
    total = "" if page.total_count is None else f',"total_count":{page.total_count}'
    more = "true" if page.has_more else "false"
    return raw_json_response(f'{{"{key}":[{",".join(page.views)}],"has_more":{more}{total}}}')


def json_response(content: Any, status: int = 200) -> Response:
    """A JSON response."""
    return raw_json_response(rendered(content), status)


def raw_json_response(text: str, status: int = 200) -> Response:
    """A JSON response from encoded JSON."""
    # A lone surrogate, which UTF-8 cannot encode, can only come from a client that sent one.
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")
