"""Makes routes idempotent: a request that is repeated with the same `x-request-id` is carried out once.

The rules are given here for all routes, by method and path: a new route is idempotent unless a rule says otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..engine.storage.idempotency import IdempotentRequest
from ..scopes import is_read_only
from .wire import ATTEMPT, BODY, MAX_JSON_BYTES, MAX_WRITE_BYTES, REQUEST_ID, engine_of, raw_json_response, read_bytes

if TYPE_CHECKING:
    from ..engine.storage.idempotency import Attempt

Endpoint = Callable[[Request], Awaitable[Response]]
_LARGE = 1 << 20
"""Bodies of this size and more are hashed on a thread."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule by which requests of a route are remembered."""

    outlives: bool = True
    """True if they are remembered after a restart of the service."""
    repeatable: bool = False
    """True if a large response is not remembered, because repeating the request is harmless and gives it again."""
    max_bytes: int = MAX_JSON_BYTES
    """The maximum size of a body."""


# An upload replaces the whole file, so repeating it is harmless. Remembering it would not work: its body is a stream,
# and only after reading all of it could one tell if it is the same. To pull an image again is harmless, too, and its
# response is a stream.
_NEVER = re.compile(r"/upload_file$|^/local/images/pull$")
_RULES = (
    # Deduplicated by the execution's id, or by a note kept with the event. The output of a command may be large.
    (re.compile(r"/(execute|execute_async|execute_sync|kill)$"), Rule(outlives=False, repeatable=True)),
    (re.compile(r"/publish$"), Rule(outlives=False)),
    # A batch that changes the database is noted in it; one that only reads may have a large response.
    (re.compile(r"/sql/(query|batch)$"), Rule(outlives=False, repeatable=True)),
    # Their effect ends with the service, so a retry after a restart has to be carried out again.
    (re.compile(r"/(resume|keep_alive|send_std_in|create_pty_tunnel|control)$"), Rule(outlives=False)),
    (re.compile(r"^/local/kernels(/|$)"), Rule(outlives=False)),
    (re.compile(r"/write_file_contents$"), Rule(max_bytes=MAX_WRITE_BYTES)),
)


def rule_of(method: str, path: str) -> Rule | None:
    """The rule for a route, or None if its requests are not remembered."""
    if method == "PUT" or is_read_only(method, path) or _NEVER.search(path):
        return None  # PUT is idempotent by HTTP's definition
    return next((rule for pattern, rule in _RULES if pattern.search(path)), Rule())


def idempotent(route: Route) -> Route:
    """Wrap a route's endpoint so that it runs once for each `x-request-id`."""
    methods = list(route.methods or ())
    (rule,) = {rule_of(method, route.path) for method in methods}
    return route if rule is None else Route(route.path, _once(route.endpoint, rule), methods=methods)


def _once(endpoint: Endpoint, rule: Rule) -> Endpoint:
    async def once(request: Request) -> Response:
        request_id = request.headers.get(REQUEST_ID)
        if not request_id:
            return await endpoint(request)

        async def work(attempt: Attempt) -> str:
            request.scope[ATTEMPT] = attempt
            return bytes((await endpoint(request)).body).decode()

        identified = await _identify(request, request_id, rule)
        return raw_json_response(await engine_of(request).idempotency.once(identified, work))

    return once


async def _identify(request: Request, request_id: str, rule: Rule) -> IdempotentRequest:
    scope, body = request.scope, await read_bytes(request, rule.max_bytes)
    scope[BODY] = body
    # A request to a PTY tunnel's host has no API key, but has been checked for the token of the tunnel that it names.
    asker = scope["key"].id if "key" in scope else request.headers["host"]
    identify = partial(
        IdempotentRequest.of,
        (asker, scope["method"], scope["path"], request_id),
        (scope["query_string"], body),
        outlives=rule.outlives,
        repeatable=rule.repeatable,
    )
    return identify() if len(body) < _LARGE else await asyncio.to_thread(identify)
