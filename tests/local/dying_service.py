"""The service, which kills itself in the middle of a request whose x-request-id says where."""

import os
import signal
import sqlite3
from collections.abc import Sequence

from starlette.requests import Request

from runloop_local.__main__ import main
from runloop_local.engine import axon_sql
from runloop_local.engine.axon_sql import Prepare, Result
from runloop_local.engine.storage.idempotency import Attempt, Idempotency, IdempotentRequest, Work
from runloop_local.routes import idempotency

MADE, PREPARED = "die", "die before the commit"
marks: dict[str, str] = {}
identify, carry_out, prepare_change = idempotency._identify, Idempotency._carry_out, axon_sql._prepare


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def identified(request: Request, request_id: str, rule: idempotency.Rule) -> IdempotentRequest:
    found = await identify(request, request_id, rule)
    marks[found.key] = request_id
    return found


async def carried_out(self: Idempotency, attempt: Attempt, work: Work) -> str:
    """Ends when the work is done, before that is noted and before anybody hears of it."""

    async def last(attempt: Attempt) -> str:
        reply = await work(attempt)
        if attempt.request is not None and marks[attempt.request.key] == MADE:
            die()
        return reply

    return await carry_out(self, attempt, last)


def prepared(connection: sqlite3.Connection, prepare: Prepare, results: Sequence[Result]) -> None:
    prepare_change(connection, prepare, results)
    if PREPARED in marks.values():
        die()


idempotency._identify = identified
Idempotency._carry_out = carried_out  # type: ignore[method-assign]
axon_sql._prepare = prepared
main()
