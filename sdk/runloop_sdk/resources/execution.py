"""Commands that were started, and their results."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, Unpack

from .._arguments import check_arguments
from .._errors import APIStatusError, ConfigurationError, PollingTimeoutError
from .._output import OutputReader
from .._polling import Wait
from .._streams import BOTH, OutputChunk, StreamName, collect, require_size
from ..params._options import LongRequestOptions, PollingRequestOptions, RequestOptions
from ..params.commands import OutputCallback
from .execution_state import ExecutionState

if TYPE_CHECKING:
    from .._event_stream import EventResponse
    from ..api._client import AsyncRunloopAPI
    from ..models.executions import DevboxAsyncExecutionDetailView, DevboxSendStdInResult, ExecutionUpdateChunk

EXECUTION_HOLD = 25.0
"""Seconds that the API holds a wait for a command."""


@check_arguments
class AsyncExecution:
    """A command in a devbox that was started and may still run.

    `async for chunk in execution` gives its output from the start, stdout and stderr in their order, until it ends.
    """

    def __init__(
        self,
        api: AsyncRunloopAPI,
        devbox_id: str,
        execution_id: str,
        *,
        view: DevboxAsyncExecutionDetailView | None = None,
    ) -> None:
        self._api = api
        self._state = ExecutionState(api, devbox_id, execution_id, view)
        self._delivery: asyncio.Task[None] | None = None
        self._reader: OutputReader | None = None
        self._callback_failure: BaseException | None = None

    def __repr__(self) -> str:
        return f"<AsyncExecution {self._state.execution_id} on {self._state.devbox_id}>"

    @property
    def execution_id(self) -> str:
        """The command's id; `devbox.execution(id)` finds it again."""
        return self._state.execution_id

    @property
    def devbox_id(self) -> str:
        """The devbox it runs in."""
        return self._state.devbox_id

    @property
    def output_lost_for(self) -> float:
        """Seconds for which the output that is being read has had no connection; 0 while it has one."""
        return 0.0 if self._reader is None else self._reader.lost_for

    async def get_state(self, **options: Unpack[RequestOptions]) -> DevboxAsyncExecutionDetailView:
        """The execution as it is now (`GET /v1/devboxes/{devbox_id}/executions/{execution_id}`)."""
        return await self._api.devboxes.executions.retrieve(
            self._state.execution_id, devbox_id=self._state.devbox_id, **options
        )

    async def result(self, **options: Unpack[PollingRequestOptions]) -> AsyncExecutionResult:
        """Its result, once it has ended. Raises the exception of an output callback.

        Waits as long as the command runs, or until the deadline of `polling_config` (`PollingTimeoutError`).
        """
        wait: Wait[DevboxAsyncExecutionDetailView] = Wait(
            f"command {self._state.execution_id} to end", options.get("polling_config"), peek=self.get_state
        )
        # The callbacks first: the result comes after the last of them, and their errors are raised here.
        for task in (self._delivery, self._state.starting):
            if task is not None:
                await wait.joined(task)
        return AsyncExecutionResult(
            self._api, self._state.final or await wait.held(self._state.wait, hold=EXECUTION_HOLD)
        )

    async def kill(self, **options: Unpack[LongRequestOptions]) -> None:
        """Kill the command and the processes it has started (`POST .../kill`)."""
        await self._api.devboxes.executions.kill(
            # The whole group: a shell that is killed alone leaves behind what it started.
            self._state.execution_id,
            devbox_id=self._state.devbox_id,
            kill_process_group=True,
            **options,
        )

    async def send_stdin(
        self,
        text: str | None = None,
        *,
        signal: Literal["EOF", "INTERRUPT"] | None = None,
        **options: Unpack[LongRequestOptions],
    ) -> DevboxSendStdInResult:
        """Write `text` to the command, or end its input (`EOF`), or interrupt it; needs `attach_stdin=True`."""
        return await self._api.devboxes.executions.send_std_in(
            self._state.execution_id, devbox_id=self._state.devbox_id, text=text, signal=signal, **options
        )

    async def send_std_in(self, text: str, **options: Unpack[LongRequestOptions]) -> None:
        """The same as `send_stdin(text)`, without its result."""
        await self.send_stdin(text, **options)

    async def close_std_in(self, **options: Unpack[LongRequestOptions]) -> None:
        """End the command's input."""
        await self.send_stdin(signal="EOF", **options)

    def __aiter__(self) -> AsyncIterator[OutputChunk]:
        return self.output()

    def output(self, streams: Sequence[StreamName] = BOTH) -> AsyncGenerator[OutputChunk, None]:
        """Its output from the start to the end, resumed after every cut and silence.

        Raises `StreamError` if neither the output nor the state of the command can be requested any more, or not all
        output of a command that has ended. The command itself runs on.
        """
        given: object = streams
        if isinstance(given, str) or not set(streams) <= set(BOTH):
            raise ConfigurationError(f"streams of output takes a list of {' or '.join(BOTH)}, not {given!r}.")
        self._reader = OutputReader(
            self._open_stream,
            self._state.ended_within,
            streams=streams,
            max_retries=self._api.config.max_retries,
            starting=self._state.starting,
        )
        return self._reader.chunks()

    def start(self, request: Callable[[], Awaitable[DevboxAsyncExecutionDetailView]]) -> None:
        """Send the request that starts the command under this id, in the background."""
        self._state.start(request)

    def deliver(self, callbacks: Callbacks) -> None:
        """Start to call `callbacks` with the output, in the background; `result` waits for the last call."""
        self._delivery = asyncio.create_task(self._deliver(callbacks))
        # A failure reaches the caller through `result`; this keeps asyncio from reporting it a second time.
        self._delivery.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def leave(self) -> bool:
        """Stop calling callbacks; False if the command certainly was not started."""
        tasks = [task for task in (self._state.starting, self._delivery) if task is not None]
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return not any(_never_started(outcome) for outcome in outcomes)

    def is_ended_by(self, error: BaseException) -> bool:
        """True if by `error` the caller ends the command: for a cancellation, a deadline, or a failed callback."""
        return isinstance(error, asyncio.CancelledError | PollingTimeoutError) or error is self._callback_failure

    async def _deliver(self, callbacks: Callbacks) -> None:
        async with aclosing(self.output(callbacks.streams)) as chunks:
            async for chunk in chunks:
                try:
                    await callbacks.call(chunk)
                except BaseException as error:
                    self._callback_failure = error
                    raise

    async def _open_stream(self, stream: StreamName, offset: int) -> EventResponse[ExecutionUpdateChunk]:
        executions = self._api.devboxes.executions
        ask = executions.stream_stdout_updates if stream == "stdout" else executions.stream_stderr_updates
        return await ask(self._state.execution_id, devbox_id=self._state.devbox_id, offset=offset or None)


def _never_started(outcome: object) -> bool:
    # A 5xx says nothing: the service may have failed after it had started the command.
    refused = isinstance(outcome, APIStatusError) and outcome.status_code < 500
    return refused or isinstance(outcome, ConfigurationError)


class Callbacks:
    """Functions, plain or async, that are called with the output of a command."""

    def __init__(
        self,
        stdout: OutputCallback | None = None,
        stderr: OutputCallback | None = None,
        output: OutputCallback | None = None,
    ) -> None:
        for name, callback in (("stdout", stdout), ("stderr", stderr), ("output", output)):
            if callback is not None and not callable(callback):
                raise ConfigurationError(f"{name} takes a function, not {type(callback).__name__}.")
        own: dict[StreamName, OutputCallback | None] = {"stdout": stdout, "stderr": stderr}
        self._by_stream = {stream: [f for f in (own[stream], output) if f is not None] for stream in BOTH}

    @property
    def streams(self) -> list[StreamName]:
        """The streams with a callback."""
        return [stream for stream in BOTH if self._by_stream[stream]]

    async def call(self, chunk: OutputChunk) -> None:
        """Call the callbacks of the chunk's stream, one after the other."""
        for callback in self._by_stream[chunk.stream]:
            answer = callback(chunk.text)
            if inspect.isawaitable(answer):
                await answer


@check_arguments
class AsyncExecutionResult:
    """The exit status and the output of a command that has ended."""

    def __init__(self, api: AsyncRunloopAPI, view: DevboxAsyncExecutionDetailView) -> None:
        self._api = api
        self._view = view

    def __repr__(self) -> str:
        return f"<AsyncExecutionResult {self.execution_id} exit_code={self.exit_code}>"

    @property
    def devbox_id(self) -> str:
        """The devbox it ran in."""
        return self._view.devbox_id

    @property
    def execution_id(self) -> str:
        """The command's id."""
        return self._view.execution_id

    @property
    def exit_code(self) -> int | None:
        """Its exit status; 128 + N if signal N ended it."""
        return self._view.exit_status

    @property
    def success(self) -> bool:
        """True if its exit status is 0."""
        return self.exit_code == 0

    @property
    def failed(self) -> bool:
        """True if it has an exit status other than 0."""
        return self.exit_code not in (0, None)

    @property
    def result(self) -> DevboxAsyncExecutionDetailView:
        """The API's view, in which the output may be truncated."""
        return self._view

    async def stdout(self, num_lines: int | None = None, *, limit: int | None = None) -> str:
        """Its stdout, or the last `num_lines` lines of it; requested from the API if the view is truncated.

        Raises `OutputTooLargeError` if it has more than `limit` characters; no more than that is read.
        """
        return await self._text("stdout", self._view.stdout, self._view.stdout_truncated, num_lines, limit)

    async def stderr(self, num_lines: int | None = None, *, limit: int | None = None) -> str:
        """Its stderr, with the same parameters as `stdout`."""
        return await self._text("stderr", self._view.stderr, self._view.stderr_truncated, num_lines, limit)

    async def _text(
        self, stream: StreamName, known: str | None, truncated: bool | None, num_lines: int | None, limit: int | None
    ) -> str:
        text = known or ""
        require_size(len(text), limit)
        if truncated and (num_lines is None or len(_lines(text)) < num_lines):
            execution = AsyncExecution(self._api, self.devbox_id, self.execution_id, view=self._view)
            async with aclosing(execution.output([stream])) as chunks:
                text = await collect(chunks, limit)
        return text if num_lines is None else "\n".join(_lines(text)[-num_lines:] if num_lines > 0 else [])


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
