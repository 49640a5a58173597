"""Commands: `/v1/devboxes/{id}/execute...` and `/v1/devboxes/{devbox_id}/executions/...`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta
from starlette.routing import Route

from ..engine.devbox.execution_manager import ExecutionRequest
from ..engine.errors import InvalidError, NotFoundError
from ..engine.ids import checked_id
from ..engine.views import execution_view, whole_execution_view
from .body import Body, read_body
from .wire import HOLD_S, attempt_of, engine_of, hold_seconds, integer, json_response, path_id, wait_expired

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..engine.devbox.execution import Execution
    from ..engine.storage.idempotency import Attempt

DEFAULT_LINES = 100
SYNC_BYTES = 16 * 1024 * 1024
_COMPLETED = frozenset({"completed"})


class Execute(Body, frozen=True):
    """POST .../execute, execute_async and execute_sync."""

    command: str
    command_id: str | None = None
    optimistic_timeout: Annotated[float, Meta(ge=0, le=HOLD_S)] | None = None
    last_n: str | None = None
    attach_stdin: bool | None = None
    shell_name: str | None = None

    def execution_request(self, attempt: Attempt) -> ExecutionRequest:
        """The engine's form of the request. A retry gets the same execution id, and so finds the running command."""
        if "\0" in self.command:
            raise InvalidError("The command contains a NUL character, which cannot be passed to a program.")
        chosen = attempt.new_id("exec") if self.command_id is None else checked_id(self.command_id, "command_id")
        return ExecutionRequest(self.command, chosen, stdin=bool(self.attach_stdin), shell=self.shell_name or None)


class Wait(Body, frozen=True):
    """POST .../executions/{id}/wait_for_status."""

    statuses: Annotated[list[Literal["queued", "running", "completed"]], Meta(min_length=1)]
    timeout_seconds: float | None = None
    last_n: str | None = None


class Kill(Body, frozen=True):
    """POST .../executions/{id}/kill."""

    kill_process_group: bool | None = None


class Send(Body, frozen=True):
    """POST .../executions/{id}/send_std_in."""

    text: str | None = None
    signal: Literal["EOF", "INTERRUPT"] | None = None


async def execute(request: Request) -> Response:
    """POST /v1/devboxes/{id}/execute: answers the result if the command ends within the timeout."""
    body = await read_body(request, Execute)
    lines = _lines(request, body.last_n)
    execution = await engine_of(request).executions.start(path_id(request), body.execution_request(attempt_of(request)))
    await execution.wait(_COMPLETED, hold_seconds(body.optimistic_timeout))
    return _view(execution, lines)


async def execute_async(request: Request) -> Response:
    """POST /v1/devboxes/{id}/execute_async."""
    body = await read_body(request, Execute)
    execution = await engine_of(request).executions.start(path_id(request), body.execution_request(attempt_of(request)))
    return _view(execution, _lines(request))


async def execute_sync(request: Request) -> Response:
    """POST /v1/devboxes/{id}/execute_sync: answers when the command has ended."""
    body = await read_body(request, Execute)
    execution = await engine_of(request).executions.start(path_id(request), body.execution_request(attempt_of(request)))
    await execution.completed()
    # In a thread, as it may be 16 MB. Nothing changes a completed execution, and its log is read by own descriptors.
    return await asyncio.to_thread(_whole, execution)


async def retrieve(request: Request) -> Response:
    """GET .../executions/{execution_id}."""
    return _view(await _execution(request), _lines(request))


async def wait_for_status(request: Request) -> Response:
    """POST .../executions/{execution_id}/wait_for_status."""
    body = await read_body(request, Wait)
    lines = _lines(request, body.last_n)
    execution = await _execution(request)
    if not await execution.wait(frozenset(body.statuses), hold_seconds(body.timeout_seconds)):
        raise wait_expired(f"Execution {execution.record.id}", list(body.statuses))
    return _view(execution, lines)


async def kill(request: Request) -> Response:
    """POST .../executions/{execution_id}/kill: sends SIGKILL, which cannot be ignored."""
    body = await read_body(request, Kill)
    try:
        execution = await _execution(request)
    except NotFoundError:
        # The request that starts it may still be in flight, from a client that was interrupted: forbid that id.
        devbox = await engine_of(request).devboxes.get(path_id(request, "devbox_id"))
        devbox.processes.forbid(path_id(request, "execution_id"))
        raise
    await execution.signal(signal.SIGKILL, group=bool(body.kill_process_group))
    return _view(execution, _lines(request))


async def send_std_in(request: Request) -> Response:
    """POST .../executions/{execution_id}/send_std_in."""
    body = await read_body(request, Send)
    execution = await _execution(request)
    success = execution.record.status != "completed" and await _send(execution, body)
    record = execution.record
    return json_response({"devbox_id": record.devbox_id, "execution_id": record.id, "success": success})


async def _send(execution: Execution, body: Send) -> bool:
    if body.text is None and body.signal is None:
        raise InvalidError("Nothing to send: give text or signal.")
    delivered = body.text is None or await execution.send(body.text.encode())
    if body.signal == "EOF":
        await execution.end_input()
    elif body.signal == "INTERRUPT":
        await execution.signal(signal.SIGINT, group=True)
    return delivered


async def _execution(request: Request) -> Execution:
    devbox_id, execution_id = path_id(request, "devbox_id"), path_id(request, "execution_id")
    return await engine_of(request).executions.get(devbox_id, execution_id)


def _lines(request: Request, given: str | None = None) -> int:
    return integer(request, "last_n", DEFAULT_LINES, given=given)


def _whole(execution: Execution) -> Response:
    return json_response(whole_execution_view(execution.record, execution.log, SYNC_BYTES))


def _view(execution: Execution, lines: int) -> Response:
    return json_response(execution_view(execution.record, execution.log, lines))


_ONE = "/v1/devboxes/{devbox_id}/executions/{execution_id}"
ROUTES = [
    Route("/v1/devboxes/{id}/execute", execute, methods=["POST"]),
    Route("/v1/devboxes/{id}/execute_async", execute_async, methods=["POST"]),
    Route("/v1/devboxes/{id}/execute_sync", execute_sync, methods=["POST"]),
    Route(_ONE, retrieve, methods=["GET"]),
    Route(f"{_ONE}/wait_for_status", wait_for_status, methods=["POST"]),
    Route(f"{_ONE}/kill", kill, methods=["POST"]),
    Route(f"{_ONE}/send_std_in", send_std_in, methods=["POST"]),
]
