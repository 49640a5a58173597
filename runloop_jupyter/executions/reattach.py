"""Finding a command again: one of this kernel, or one that an earlier kernel started and that still runs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..output.transcript import Transcript
from ..resources.devboxes import DevboxInfo, describe
from ..text.quoting import printable
from .command_spec import CommandSpec
from .run import CommandRun

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..session import Session
    from .background import Background
    from .execution_history import Entry

_MOST = 200  # commands of earlier kernels that are asked about
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """A command that runs, on a devbox that runs. `handle` is there if this kernel holds it in the background."""

    entry: Entry
    devbox: DevboxInfo
    handle: Background[object] | None = None


async def running_commands(session: Session) -> list[RunningCommand]:
    """The commands of this user's kernels that still run, newest first."""
    sdk, connection = await session.client.sdk(), session.client.connection
    assert connection is not None
    boxes = {view.id: describe(view) async for view in sdk.api.devboxes.list(limit=1000, status="running")}
    # Commands of devboxes that do not run have ended with them: no request is needed for that.
    entries = [entry for entry in session.execution_history.entries(connection) if entry.devbox_id in boxes][:_MOST]
    turn = asyncio.Semaphore(_AT_ONCE)
    alive = await asyncio.gather(*(_runs(sdk, entry, turn) for entry in entries))
    handles = {part.execution_id: each for each in session.executions for part in each.parts}
    return [
        RunningCommand(entry, boxes[entry.devbox_id], handles.get(entry.execution_id))
        for entry, runs in zip(entries, alive, strict=True)
        if runs
    ]


async def find_execution(session: Session, reference: str, on: str | None) -> CommandRun:
    """The command that an id, or its beginning, means; on a named devbox also one that no kernel here started."""
    matches = [found for found in await running_commands(session) if found.entry.execution_id.startswith(reference)]
    if on is None and len(matches) > 1:
        shown = ", ".join(f"{printable(each.entry.execution_id)} ({each.devbox.short})" for each in matches[:8])
        # Never guessed: the next thing to come may be a kill.
        raise UsageError(f"{reference!r} means {len(matches)} executions: {shown}. Type more of the id.")
    if len(matches) == 1:
        found = matches[0]
        return await _attached(session, found.devbox, found.entry.execution_id, found.entry)
    if on is None:
        raise UsageError(
            f"No execution {reference!r} runs. %runloop executions lists those that do; --on NAME finds others."
        )
    devbox = await session.find(on)
    await _check_known(await session.client.sdk(), devbox, reference)
    return await _attached(session, devbox, reference, None)


async def _attached(session: Session, devbox: DevboxInfo, execution_id: str, entry: Entry | None) -> CommandRun:
    run = _run(session, devbox, entry)
    await run.attach(execution_id, since=time.time() - entry.started if entry is not None else 0.0)
    return run


def _run(session: Session, devbox: DevboxInfo, entry: Entry | None) -> CommandRun:
    spec = CommandSpec("", title=entry.title if entry is not None else "")
    if entry is None or not entry.word:
        return CommandRun(session, devbox, spec, Transcript())
    from .python import PythonCommandRun

    return PythonCommandRun(session, devbox, spec, Transcript(), entry.word)


async def _runs(sdk: AsyncRunloopSDK, entry: Entry, turn: asyncio.Semaphore) -> bool:
    from runloop_sdk import BadRequestError, NotFoundError

    async with turn:
        try:
            state = await sdk.devbox.from_id(entry.devbox_id).execution(entry.execution_id).get_state()
        except (NotFoundError, BadRequestError):  # the service keeps ended commands for some time only
            return False
    return state.status != "completed"


async def _check_known(sdk: AsyncRunloopSDK, devbox: DevboxInfo, execution_id: str) -> None:
    from runloop_sdk import BadRequestError, NotFoundError

    try:
        await sdk.devbox.from_id(devbox.id).execution(execution_id).get_state()
    except (NotFoundError, BadRequestError) as error:
        raise UsageError(
            f"There is no execution {execution_id!r} on {devbox.label}; with --on, give the whole id."
        ) from error
