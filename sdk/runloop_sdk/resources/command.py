"""`devbox.cmd`: run commands."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from .._arguments import check_arguments
from .._ids import uuid7
from .._polling import checked_config
from ..api._resource import split_options
from ..cancellation import complete_or_undo, run_undo
from ..params._options import LongPollingRequestOptions, LongRequestOptions
from ..params.commands import CommandOptions, ExecOptions
from .execution import AsyncExecution, AsyncExecutionResult, Callbacks

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI

OPTIMISTIC_SECONDS = 25
"""The longest that one `execute` request waits for its command."""
STREAMED_SECONDS = 1
"""The same for one whose output is read meanwhile, should a service show that only once the request is answered."""


@check_arguments
class AsyncCommandInterface:
    """Runs commands in one devbox."""

    def __init__(self, api: AsyncRunloopAPI, devbox_id: str) -> None:
        self._api = api
        self._devbox_id = devbox_id

    async def exec(self, command: str, **params: Unpack[ExecOptions]) -> AsyncExecutionResult:
        """The result of `command`, run in a login shell, once it has ended.

        Without standard input a short command costs one round trip, also with callbacks. It lasts until the command
        ends, or until the deadline of `polling_config` (`PollingTimeoutError`). Cancelled, out of time, or failed by
        a callback, it kills the command, unless `kill_on_cancel` is False. Nothing else does: where the service or
        the output is out of reach (`APIConnectionError`, `StreamError`), a note on the error tells the command's id.
        (`POST /v1/devboxes/{id}/execute` or `execute_async`)
        """
        given, options = split_options(params)
        polling, kill = checked_config(options.get("polling_config")), given.pop("kill_on_cancel", True)
        if given.get("attach_stdin"):
            execution = await self.exec_async(command, **given, **_without_polling(options))
        else:
            execution = self._execute(command, given, options)
        try:
            return await execution.result(polling_config=polling)
        except (Exception, asyncio.CancelledError) as error:
            await self._leave(execution, error, kill=kill and execution.is_ended_by(error))
            raise

    async def _leave(self, execution: AsyncExecution, error: BaseException, *, kill: bool) -> None:
        """Let go of a command that is waited for no more; a note on `error` tells how to find one that may go on."""
        if not await execution.leave():
            return
        if not (kill and await run_undo(execution.kill(), error)):
            error.add_note(f"The command may go on: devbox.execution({execution.execution_id!r})")

    async def exec_async(self, command: str, **params: Unpack[CommandOptions]) -> AsyncExecution:
        """A handle on `command`, which goes on running; callbacks are called until it ends.

        Cancelled while it starts the command, it kills it. (`POST /v1/devboxes/{id}/execute_async`)
        """
        given, options = split_options(params)
        callbacks = _callbacks(given)
        execution = await complete_or_undo(self._start(command, given, options), AsyncExecution.kill)
        if callbacks.streams:
            execution.deliver(callbacks)
        return execution

    async def _start(self, command: str, given: dict[str, Any], options: LongRequestOptions) -> AsyncExecution:
        view = await self._api.devboxes.execute_async(self._devbox_id, command=command, **given, **options)
        return AsyncExecution(self._api, self._devbox_id, view.execution_id, view=view)

    def _execute(self, command: str, given: dict[str, Any], options: LongPollingRequestOptions) -> AsyncExecution:
        """Starts the command under an id of our own: its streams are asked for at the same time."""
        callbacks = _callbacks(given)
        given.pop("attach_stdin", None)
        execution = AsyncExecution(self._api, self._devbox_id, str(uuid7()))
        hold = STREAMED_SECONDS if callbacks.streams else OPTIMISTIC_SECONDS
        request = partial(
            self._api.devboxes.execute,
            self._devbox_id,
            command=command,
            command_id=execution.execution_id,
            optimistic_timeout=_optimistic_seconds(options, hold),
            **given,
            **_without_polling(options),
        )
        execution.start(request)
        if callbacks.streams:
            execution.deliver(callbacks)
        return execution


def _callbacks(given: dict[str, Any]) -> Callbacks:
    return Callbacks(**{name: given.pop(name, None) for name in ("stdout", "stderr", "output")})


def _without_polling(options: LongPollingRequestOptions) -> LongRequestOptions:
    rest = dict(options)
    rest.pop("polling_config", None)
    return rest  # type: ignore[return-value]  # a TypedDict less one key


def _optimistic_seconds(options: LongPollingRequestOptions, at_most: int) -> int:
    polling = options.get("polling_config")
    limit = polling.timeout_seconds if polling is not None else None
    return at_most if limit is None else max(0, min(at_most, int(limit)))
