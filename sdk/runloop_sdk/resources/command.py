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
"""The most seconds for which one `execute` request waits for its command."""
STREAMED_SECONDS = 1
"""The same if its output is streamed: some services send no output before they have answered the request."""


@check_arguments
class AsyncCommandInterface:
    """Runs commands in one devbox."""

    def __init__(self, api: AsyncRunloopAPI, devbox_id: str) -> None:
        self._api = api
        self._devbox_id = devbox_id

    async def exec(self, command: str, **params: Unpack[ExecOptions]) -> AsyncExecutionResult:
        """Run `command` in a login shell; its result, once it has ended.

        Takes one round trip for a short command without standard input, even with callbacks. Waits as long as the
        command runs, or until the deadline of `polling_config` (`PollingTimeoutError`). If it is cancelled, times out,
        or a callback fails, the command is killed, unless `kill_on_cancel` is False. Other errors do not kill it: if
        the service or the output cannot be reached (`APIConnectionError`, `StreamError`), a note on the error has the
        command's id. (`POST /v1/devboxes/{id}/execute` or `execute_async`)
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
            await self._abandon(execution, error, kill=kill and execution.is_ended_by(error))
            raise

    async def _abandon(self, execution: AsyncExecution, error: BaseException, *, kill: bool) -> None:
        """Stop waiting for a command, and kill it if asked to; if it may run on, a note on `error` has its id."""
        # Before the kill: no callback is to be called any more, and what was never started needs no kill.
        if not await execution.leave():
            return  # it was never started
        if not (kill and await run_undo(execution.kill(), error)):
            error.add_note(f"The command may go on: devbox.execution({execution.execution_id!r})")

    async def exec_async(self, command: str, **params: Unpack[CommandOptions]) -> AsyncExecution:
        """Start `command` and return at once; callbacks are called until it ends.

        If cancelled during the request, it kills the command. (`POST /v1/devboxes/{id}/execute_async`)
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
        """Start the command under an id of our own, so that its output can be requested at the same time."""
        callbacks = _callbacks(given)
        # It is false here, and `execute` has no such parameter.
        given.pop("attach_stdin", None)
        execution = AsyncExecution(self._api, self._devbox_id, uuid7())
        # With callbacks a short hold: where output is sent only after the answer, a long one would hold it all back.
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
    # No longer than the caller waits: an answer after the deadline would come too late to be read.
    return at_most if limit is None else max(0, min(at_most, int(limit)))
