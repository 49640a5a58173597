"""Every route that makes or changes something carries a request out once, however often it comes.

This is decided here for all of them, by method and path: a new route is remembered unless a rule below says otherwise.
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
from ..scopes import is_reading
from .wire import ATTEMPT, BODY, MAX_JSON_BYTES, MAX_WRITE_BYTES, REQUEST_ID, engine_of, raw_answer, read_bytes

if TYPE_CHECKING:
    from ..engine.storage.idempotency import Attempt

Endpoint = Callable[[Request], Awaitable[Response]]
_LARGE = 1 << 20
"""The fingerprint of a body from this size on is taken on a thread."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a route's requests are remembered."""

    outlives: bool = True
    """Also after a restart of the service."""
    repeatable: bool = False
    """A large reply is not remembered: to carry the request out again gives it again, and changes nothing."""
    most: int = MAX_JSON_BYTES
    """The longest body."""


# An upload puts whole bytes in the place of others, and comes to the same when it comes again. To remember it would
# be worse: its body is a stream, of which nobody knows whether it is the first one's before it has been read.
_NEVER = re.compile(r"/upload_file$")
_RULES = (
    # Found again by the execution's id, or by the event's own note. The whole output of a command may be large.
    (re.compile(r"/(execute|execute_async|execute_sync|kill)$"), Rule(outlives=False, repeatable=True)),
    (re.compile(r"/publish$"), Rule(outlives=False)),
    # A batch that changes the database is noted with it; one that only reads has large replies.
    (re.compile(r"/sql/(query|batch)$"), Rule(outlives=False, repeatable=True)),
    # What these did ends with the service: after a restart, a retry shall do it again.
    (re.compile(r"/(resume|keep_alive|send_std_in|create_pty_tunnel|control)$"), Rule(outlives=False)),
    (re.compile(r"^/local/kernels(/|$)"), Rule(outlives=False)),
    (re.compile(r"/write_file_contents$"), Rule(most=MAX_WRITE_BYTES)),
)


def rule_of(method: str, path: str) -> Rule | None:
    """How the requests of a route are remembered; None where each one is a new one."""
    if method == "PUT" or is_reading(method, path) or _NEVER.search(path):
        return None  # PUT comes to the same however often it comes, by HTTP's own definition
    return next((rule for pattern, rule in _RULES if pattern.search(path)), Rule())


def idempotent(route: Route) -> Route:
    """The route, whose endpoint carries a request out once for each `x-request-id`."""
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

        identified = await _identified(request, request_id, rule)
        return raw_answer(await engine_of(request).idempotency.once(identified, work))

    return once


async def _identified(request: Request, request_id: str, rule: Rule) -> IdempotentRequest:
    scope, body = request.scope, await read_bytes(request, rule.most)
    scope[BODY] = body
    # A request at the host of a PTY tunnel has no API key; its host names the tunnel, whose token it had.
    asker = scope["key"].id if "key" in scope else request.headers["host"]
    identify = partial(
        IdempotentRequest.of,
        (asker, scope["method"], scope["path"], request_id),
        (scope["query_string"], body),
        outlives=rule.outlives,
        repeatable=rule.repeatable,
    )
    return identify() if len(body) < _LARGE else await asyncio.to_thread(identify)
