"""One command from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from ..devboxes import DevboxInfo
from ..durations import spell_duration
from ..errors import MagicError, RemoteError, UsageError
from ..progress import waiting
from ..results import DevboxResult
from ..transcript import Transcript
from .dialogue import Dialogue
from .journal import entry
from .order import Order

if TYPE_CHECKING:
    from runloop_sdk import AsyncCommandInterface, AsyncDevbox, AsyncExecution, AsyncNamedShell

    from ..session import Session
    from ..transcript import Stream

_KILLED = 128 + 9  # also what a command ends with whose devbox went away
_END_PATIENCE = 10.0  # seconds that a command's end may lag behind the end of its output, or behind a kill
_STDIN_PIECE = 64 * 1024  # characters


class Sink(Protocol):
    """Where the output of a command goes while it runs."""

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of it."""

    def display(self, bundle: Mapping[str, Any]) -> None:
        """Take something to show by MIME types."""


class CommandRun:
    """One command on one devbox: `start`, then `finish`; `kill` at any time between."""

    def __init__(self, session: Session, devbox: DevboxInfo, order: Order, transcript: Transcript) -> None:
        self.devbox = devbox
        self.order = order
        self.transcript = transcript
        self.timed_out = False
        self._session = session
        self._started = time.monotonic()
        self._execution: AsyncExecution | None = None

    note = ""
    """What else there is to say about it when it is over."""

    @property
    def execution(self) -> AsyncExecution:
        """The SDK's handle on it, once it has started."""
        assert self._execution is not None
        return self._execution

    @property
    def started(self) -> bool:
        """Whether it runs, or has run."""
        return self._execution is not None

    @property
    def seconds(self) -> float:
        """How long ago it started."""
        return time.monotonic() - self._started

    @property
    def elapsed(self) -> str:
        """The same in words."""
        return spell_duration(self.seconds)

    async def start(self) -> None:
        """Start it; `DevboxUnavailableError` tells what the devbox is doing instead."""
        from runloop_sdk import APIStatusError, AuthenticationError

        runner = self._runner(await self._handle())
        try:
            self._execution = await runner.exec_async(self.order.prepared, attach_stdin=self._attach_stdin)
        except AuthenticationError:
            raise
        except APIStatusError:
            await self._session.check_usable(self.devbox.id)
            raise
        self._note()

    def _note(self) -> None:
        connection = self._session.connection
        assert connection is not None
        problem = self._session.journal.note(
            entry(connection, self.devbox, self.execution.execution_id, self.order.title)
        )
        if problem:
            self._session.say(problem)

    async def attach(self, execution_id: str, *, since: float = 0.0) -> None:
        """Take up one that runs already, since so many seconds."""
        self._started -= since
        self._execution = (await self._handle()).execution(execution_id)

    async def finish(self, sink: Sink) -> DevboxResult:
        """Its result, its output going to `sink` as it comes; past the order's timeout it is killed."""
        deadline = asyncio.timeout(self.order.timeout)
        try:
            async with deadline:
                await self._session.while_service_lives(self._follow(sink))
                return await self._ended()
        except TimeoutError:
            if not deadline.expired():
                raise
        self.timed_out = True
        await self.kill()
        return await self._ended()

    async def kill(self) -> None:
        """Kill it with all that it started."""
        await self.execution.kill()

    async def _follow(self, sink: Sink) -> None:
        """Stream its output and give it its input, until the output ends."""
        if self.order.stdin is None and not self.order.interactive:
            return await self._stream(sink)
        dialogue = Dialogue(self, sink) if self.order.interactive else None
        streaming = asyncio.create_task(self._stream(dialogue or sink))
        giving = asyncio.create_task(dialogue.answer() if dialogue else self._feed())
        try:
            await asyncio.wait((streaming, giving), return_when=asyncio.FIRST_COMPLETED)
            if not streaming.done():
                giving.result()  # it raises what kept the command from its input
            await streaming
        finally:
            streaming.cancel()
            giving.cancel()
            await asyncio.gather(streaming, giving, return_exceptions=True)

    async def _stream(self, sink: Sink) -> None:
        from runloop_sdk import RunloopError, StreamError

        try:
            await self._read(sink)
        except (StreamError, MagicError) as error:  # a command that nobody hears of must not go on
            try:
                await self.kill()
            except RunloopError as problem:
                error.add_note(f"It could not be killed: {problem}")
            raise

    async def _read(self, sink: Sink) -> None:
        async with aclosing(self.execution.output()) as chunks:
            async for chunk in chunks:
                self._take(chunk.stream, chunk.text, sink)

    def _take(self, stream: Stream, text: str, sink: Sink) -> None:
        """Keep and show a piece of the output."""
        try:
            self.transcript.append(stream, text)
        except OSError as error:
            raise RemoteError(f"The output of {self.devbox.label} cannot be kept here: {error.strerror}.") from error
        sink.write(stream, text)

    async def _feed(self) -> None:
        text = self.order.stdin or ""
        for start in range(0, len(text), _STDIN_PIECE):
            if not (await self.execution.send_stdin(text[start : start + _STDIN_PIECE])).success:
                return  # the command ended, or closed its input
        await self.execution.close_std_in()

    async def _ended(self) -> DevboxResult:
        exit_code = await self._exit_code()
        if not len(self.transcript):
            await self._check_surroundings(exit_code)
        return await self._result(exit_code)

    async def _result(self, exit_code: int | None, error: str = "") -> DevboxResult:
        return DevboxResult(exit_code, self.transcript, **self.facts, error=error)

    @property
    def facts(self) -> dict[str, Any]:
        """What its result has beside the exit code and the output."""
        return {
            "duration": self.seconds,
            "execution_id": self.execution.execution_id if self._execution else "",
            "devbox_id": self.devbox.id,
            "devbox": self.devbox.short,
        }

    async def _exit_code(self) -> int:
        from runloop_sdk import PollingConfig

        result = await self.execution.result(polling_config=PollingConfig(timeout_seconds=_END_PATIENCE))
        if result.exit_code is None:  # the devbox ended before the command did
            await self._session.check_usable(self.devbox.id)
            raise RemoteError(
                f"The command on {self.devbox.label} ended without an exit code: %devbox logs may say why."
            )
        if result.exit_code == _KILLED:
            await self._session.check_usable(self.devbox.id)
        return result.exit_code

    async def _check_surroundings(self, exit_code: int) -> None:
        """Raise `UsageError` where the command did not begin because its directory or user does not exist."""
        for command, problem in self.order.checks(exit_code):
            if not (await (await self._handle()).cmd.exec(command)).success:
                raise UsageError(problem.format(self.devbox.label))

    @property
    def _attach_stdin(self) -> bool | None:
        return True if self.order.attaches_stdin else None

    def _runner(self, devbox: AsyncDevbox) -> AsyncCommandInterface | AsyncNamedShell:
        return devbox.shell(self.order.shell) if self.order.shell else devbox.cmd

    async def _handle(self) -> AsyncDevbox:
        return (await self._session.sdk()).devbox.from_id(self.devbox.id)


async def start_in_cell(run: CommandRun) -> None:
    """Start a command; a line in the cell tells so when that takes its time."""
    async with waiting(f"starting on {run.devbox.short}"):
        await run.start()
