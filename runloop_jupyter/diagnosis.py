"""Finds out the state of a service, a devbox and a command after an answer was lost: by asking, never by guessing.

`investigate` asks each of them, for a short time; `error_for` turns the answers into an error with one sentence, which
says what is not known if nobody answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from .errors import ConnectionLostError, MagicError, RemoteError
from .resources.devboxes import DevboxInfo, describe, unavailable
from .text.quoting import reference

T = TypeVar("T")

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK, RunloopError

    from .connection import Connection

PATIENCE = 3.0
"""Seconds to wait for each answer."""
_SHUTDOWN_TIME = 2.0  # seconds in which an embedded service that refuses connections is expected to end
_POLL_INTERVAL = 0.05

Service = Literal["answers", "silent", "refuses", "ended", "replaced"]
"""It answers; accepts connections but does not answer; refuses connections; or, the embedded one, has ended; or has
ended and was started again."""


class Subject(NamedTuple):
    """The subject of the lost answer: a command, or only a devbox, or neither."""

    devbox: DevboxInfo | None = None
    execution_id: str = ""
    starting: bool = False
    """True if it was the answer to the request that starts the command."""


class Findings(NamedTuple):
    """The answers. None means that nobody asked, or nobody answered."""

    service: Service
    devbox: DevboxInfo | Literal["unknown"] | None = None
    execution: str | None = None
    """The command's status, or `unknown` if the service does not know the command."""
    exit_code: int | None = None


def error_for(happened: str, subject: Subject, found: Findings, connection: Connection) -> MagicError:
    """The error that tells what happened, given as a clause, and what was found out since."""
    if found.service == "ended":
        return ConnectionLostError(
            f"The embedded service at {connection.base_url} has ended; the next cell starts it again. "
            "Its devboxes come back suspended, with their files: %devbox resume wakes the current one."
        )
    if found.service == "replaced":
        return ConnectionLostError(
            f"The embedded service at {connection.base_url} has ended and was started again; what ran is suspended: "
            "%devbox resume wakes the current devbox."
        )
    if isinstance(found.devbox, DevboxInfo) and (error := unavailable(found.devbox)):
        return error
    rest = filter(None, [_of_service(found, connection), _of_command(subject, found)])
    return ConnectionLostError("; ".join([happened.rstrip("."), *rest]) + ".")


def _of_service(found: Findings, connection: Connection) -> str:
    if found.service == "silent":
        return f"{connection.label} takes connections, but has not answered within {PATIENCE:g} s"
    if found.service == "refuses":
        return f"{connection.label} cannot be reached" + ("" if connection.embedded else ": check the network")
    return ""


def _of_command(subject: Subject, found: Findings) -> str:
    """A clause about the state of the command and how to find it again; without a command, about what to do."""
    if subject.devbox is None:
        return "the service answers now" if found.service == "answers" else ""
    name, command = subject.devbox.reference, reference(subject.execution_id, "")
    if found.devbox == "unknown":
        return f"the service does not know {subject.devbox.label} any more"
    if subject.starting:
        return f"whether the command was started is not known: %devbox logs {name} tells what ran"
    if not subject.execution_id:
        return ""
    if found.execution == "completed":
        code = "" if found.exit_code is None else f" with exit code {found.exit_code}"
        return f"the command has ended{code}: %devbox attach {command} --on {name} shows what it printed"
    if found.execution == "unknown":
        return "the service does not know the command any more"
    if found.execution is None:
        return f"whether the command still runs is not known: %devbox attach {command} --on {name} finds it again"
    advice = f"%devbox attach {command} follows it, %devbox kill {command} ends it"
    return f"the command still runs on {subject.devbox.short}: {advice}"


async def investigate(
    subject: Subject, connection: Connection, running: Callable[[], Connection | None] | None
) -> Findings:
    """Ask the service for its state and the subject's.

    `running` returns the connection to the embedded service that runs now; it is None for any other service.
    """
    from runloop_sdk import AsyncRunloopSDK

    if running is not None and (ended := _embedded_end(connection, running)):
        return Findings(ended)
    # A client of its own: the connections of the session's client may be the ones that are dead.
    async with AsyncRunloopSDK(
        bearer_token=connection.api_key, base_url=connection.base_url, timeout=PATIENCE, max_retries=0
    ) as sdk:
        service, devbox = await _first_answer(subject, sdk)
        if service == "refuses" and running is not None:
            service = await _wait_for_end(connection, running)
        if service != "answers" or not isinstance(devbox, DevboxInfo) or not subject.execution_id:
            return Findings(service, devbox)
        return await _with_command(subject.execution_id, devbox, sdk)


async def _first_answer(
    subject: Subject, sdk: AsyncRunloopSDK
) -> tuple[Service, DevboxInfo | Literal["unknown"] | None]:
    from runloop_sdk import APIConnectionError, APIStatusError, APITimeoutError
    from runloop_sdk.models import DevboxView

    asked = sdk.api.devboxes.list(limit=1) if subject.devbox is None else sdk.api.devboxes.retrieve(subject.devbox.id)
    answer = await _answer(asked)
    if isinstance(answer, APIConnectionError):
        return "silent" if isinstance(answer, APITimeoutError) else "refuses", None
    if isinstance(answer, APIStatusError):
        return "answers", "unknown" if answer.status_code == 404 else None
    return "answers", describe(answer) if isinstance(answer, DevboxView) else None


async def _with_command(execution_id: str, devbox: DevboxInfo, sdk: AsyncRunloopSDK) -> Findings:
    from runloop_sdk import APIStatusError

    answer = await _answer(sdk.api.devboxes.executions.retrieve(execution_id, devbox_id=devbox.id))
    if isinstance(answer, APIStatusError) and answer.status_code == 404:
        return Findings("answers", devbox, "unknown")
    if isinstance(answer, Exception):
        return Findings("answers", devbox)
    return Findings("answers", devbox, answer.status, answer.exit_status)


async def _answer(asked: Awaitable[T]) -> T | RunloopError:
    """The answer, or the SDK's error instead."""
    from runloop_sdk import APITimeoutError, RunloopError

    try:
        async with asyncio.timeout(PATIENCE):
            return await asked
    except TimeoutError:
        return APITimeoutError("no answer in time", method="GET", path="")
    except RunloopError as error:
        return error


def _embedded_end(connection: Connection, running: Callable[[], Connection | None]) -> Service | None:
    """`ended` or `replaced` for the embedded service; None if it still runs, or if that cannot be told."""
    try:
        now = running()
    except RemoteError:
        return None
    if now is None:
        return "ended"
    # After a restart on the same port the address is the same, but the key is new.
    is_same = (now.base_url, now.api_key) == (connection.base_url, connection.api_key)
    return None if is_same else "replaced"


async def _wait_for_end(connection: Connection, running: Callable[[], Connection | None]) -> Service:
    """Wait for the end of an embedded service that refuses connections: it is probably shutting down."""
    for _ in range(int(_SHUTDOWN_TIME / _POLL_INTERVAL)):
        if ended := _embedded_end(connection, running):
            return ended
        await asyncio.sleep(_POLL_INTERVAL)
    return "refuses"
