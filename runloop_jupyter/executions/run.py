"""One command from its start to its end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..diagnosis import Subject
from ..errors import MagicError, RemoteError, UsageError
from ..output.progress import waiting
from ..output.transcript import Transcript
from ..remote import terminal
from ..resources.devboxes import DevboxInfo, describe
from ..results import DevboxResult, running_cell
from ..text.durations import spell_duration
from ..text.quoting import reference
from .command_spec import CommandSpec
from .dialogue import Dialogue
from .execution_history import entry

if TYPE_CHECKING:
    from runloop_sdk import AsyncCommandInterface, AsyncDevbox, AsyncExecution, AsyncNamedShell

    from ..connection import Connection
    from ..output.transcript import Stream
    from .context import RunContext
    from .sink import Sink

T = TypeVar("T")

CONCEAL, REVEAL = terminal.CONCEAL.decode(), terminal.REVEAL.decode()
_CONCEALMENT = re.compile("|".join(map(re.escape, (CONCEAL, REVEAL))))
_KILLED = 128 + 9  # also what a command ends with whose devbox went away
_END_PATIENCE = 10.0  # seconds that a command's end may lag behind the end of its output, or behind a kill
_SETTLING = 2.5  # seconds that a devbox's end may lag behind that of the program which used all its memory
_STDIN_PIECE = 64 * 1024  # characters
_LOST = 3.0  # seconds without a connection to the output that are worth telling


class CommandRun:
    """One command on one devbox: `start`, then `finish`; `kill` at any time between."""

    def __init__(self, context: RunContext, devbox: DevboxInfo, spec: CommandSpec, transcript: Transcript) -> None:
        self.devbox = devbox
        self.spec = spec
        self.transcript = transcript
        self.fate = "the command was killed"
        """The end that it came to when its time was up, in words."""
        self.hides_input = False
        """True while what is typed must not be shown, as a password."""
        self._timed_out = False
        self._context = context
        self._started = time.monotonic()
        self._execution: AsyncExecution | None = None
        self._box: AsyncDevbox | None = None
        self._connection: Connection | None = None
        self._killed = False  # by this program
        self._shown_in = running_cell()  # where its output is shown

    note = ""
    """More to say about it when it is over."""
    word = ""
    """The mark of the structured lines in its output, where it has such."""

    @property
    def execution(self) -> AsyncExecution:
        """The SDK's handle on it, once it has started."""
        assert self._execution is not None
        return self._execution

    @property
    def started(self) -> bool:
        """True if it runs, or has run."""
        return self._execution is not None

    @property
    def reference(self) -> str:
        """Its id as it is typed, once it has started."""
        return reference(self.execution.execution_id, "")

    @property
    def seconds(self) -> float:
        """Seconds since it started."""
        return time.monotonic() - self._started

    @property
    def elapsed(self) -> str:
        """The same in words."""
        return spell_duration(self.seconds)

    @property
    def trouble(self) -> str:
        """Says that its output does not come, and why; empty where all is well."""
        lost = 0.0 if self._execution is None else self._execution.output_lost_for
        return f"no connection to its output for {spell_duration(lost)}, trying again" if lost > _LOST else ""

    def line(self, text: str) -> Callable[[], str]:
        """A status line: `text` with {} for the time that has passed, and the trouble there is."""
        return lambda: " · ".join(filter(None, [text.replace("{}", self.elapsed), self.trouble]))

    async def start(self) -> None:
        """Start it; `DevboxUnavailableError` tells what the devbox is doing instead."""
        runner = self._runner(await self._handle())
        starting = runner.exec_async(self.spec.prepared, attach_stdin=self._attach_stdin)
        self._execution = await self._diagnosed(starting, starting=True)
        self._note()

    def _note(self) -> None:
        assert self._connection is not None
        execution_id, title = self.execution.execution_id, self.spec.title
        self._context.execution_history.note(entry(self._connection, self.devbox, execution_id, title, self.word))

    async def attach(self, execution_id: str, *, since: float = 0.0) -> None:
        """Take up one that runs already, since so many seconds."""
        self._started -= since
        self._execution = (await self._handle()).execution(execution_id)

    async def finish(self, sink: Sink) -> DevboxResult:
        """Its result, its output going to `sink` as it comes; past its timeout it is killed.

        Nothing else ends it: `ConnectionLostError` says how to find it again.
        """
        deadline = asyncio.timeout(self.spec.timeout)
        try:
            async with deadline:
                return await self._diagnosed(self._to_its_end(sink))
        except TimeoutError:
            if not deadline.expired():
                raise
        return await self._time_out()

    async def _to_its_end(self, sink: Sink) -> DevboxResult:
        await self._context.client.while_service_lives(self._follow(sink), self._connection)
        return await self._ended()

    async def _time_out(self) -> DevboxResult:
        """Kill it, and tell what is known of that: no refusal hides that its time was up."""
        from runloop_sdk import RunloopError

        self._timed_out, refusal = True, None
        try:
            await self.execution.kill()
        except RunloopError as error:
            refusal = error
        try:
            result = await self._ended()
        except (RunloopError, MagicError) as error:
            result = await self._result(None, str(error))
        if refusal is not None:
            is_over = result.exit_code is not None
            unknown = f"it could not be killed ({refusal}): %devbox kill {self.reference}"
            self.fate = "the command has ended" if is_over else unknown
        return result

    async def kill(self) -> None:
        """Kill it with all that it started."""
        self._killed = True
        await self._diagnosed(self.execution.kill())

    async def _diagnosed(self, work: Awaitable[T], *, starting: bool = False) -> T:
        """`work`'s result; where an answer is lost or refused, the error says what the devbox and the command do."""
        from runloop_sdk import (
            APIConnectionError,
            APIStatusError,
            AuthenticationError,
            PermissionDeniedError,
            StreamError,
        )

        try:
            return await work
        except (AuthenticationError, PermissionDeniedError):
            raise
        except APIStatusError:
            await self._check_devbox()
            raise
        except (APIConnectionError, StreamError) as error:
            execution_id = self._execution.execution_id if self._execution else ""
            subject = Subject(self.devbox, execution_id, starting)
            raise await self._context.client.diagnosed(error, subject, self._connection) from error

    async def _follow(self, sink: Sink) -> None:
        """Stream its output and give it its input, until the output ends."""
        if self.spec.stdin is None and not self.spec.interactive:
            return await self._stream(sink)
        dialogue = self._dialogue(sink) if self.spec.interactive else None
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

    def _dialogue(self, sink: Sink) -> Dialogue:
        return Dialogue(sink, self.execution, self.devbox.short, lambda: self.hides_input)

    async def _stream(self, sink: Sink) -> None:
        async with aclosing(self.execution.output()) as chunks:
            async for chunk in chunks:
                self._take(chunk.stream, chunk.text, sink)

    def _take(self, stream: Stream, text: str, sink: Sink) -> None:
        """Keep and show a piece of the output."""
        if stream == "stderr" and self.spec.terminal:
            text = self._without_concealment(text)
        try:
            self.transcript.append(stream, text)
        except OSError as error:
            raise RemoteError(
                f"The output of {self.devbox.label} cannot be kept here: {error.strerror}; the command goes on: "
                f"%devbox kill {self.reference} ends it."
            ) from error
        sink.write(stream, text)

    def _without_concealment(self, text: str) -> str:
        """Heed what the maker of the terminal tells: all that the command prints comes by stdout."""
        told = _CONCEALMENT.findall(text)
        self.hides_input = told[-1] == CONCEAL if told else self.hides_input
        return _CONCEALMENT.sub("", text)

    async def _feed(self) -> None:
        text = self.spec.stdin or ""
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
        """The fields of its result beside the exit code and the output."""
        return {
            "duration": self.seconds,
            "execution_id": self.execution.execution_id if self._execution else "",
            "devbox_id": self.devbox.id,
            "devbox": self.devbox.known_as,
            "timed_out": self._timed_out,
            "shown_in": self._shown_in,
        }

    async def _exit_code(self) -> int:
        from runloop_sdk import PollingConfig

        result = await self.execution.result(polling_config=PollingConfig(timeout_seconds=_END_PATIENCE))
        if result.exit_code is None:  # mostly the devbox ended before the command did
            await self._check_devbox()
            raise RemoteError(
                f"The command on {self.devbox.label} ended without an exit code: %devbox logs may say why."
            )
        if result.exit_code == _KILLED and not (self._timed_out or self._killed):
            await self.check_ended()
        return result.exit_code

    async def check_ended(self) -> None:
        """Raise `DevboxUnavailableError` if the devbox has ended, or is about to: it does so after what it ran."""
        from runloop_sdk import PollingConfig, PollingTimeoutError, UnexpectedStateError

        with suppress(PollingTimeoutError, UnexpectedStateError):
            await (await self._handle()).await_suspended(polling_config=PollingConfig(timeout_seconds=_SETTLING))
        await self._check_devbox()

    async def _check_devbox(self) -> None:
        """Raise `DevboxUnavailableError` if the devbox, on the service where the command is, cannot run commands."""
        self._context.check(describe(await (await self._handle()).get_info()))

    async def _check_surroundings(self, exit_code: int) -> None:
        """Raise `UsageError` where the command did not begin because its directory or user does not exist."""
        from runloop_sdk.own_commands import own_command

        for command, problem in self.spec.checks(exit_code):
            if not (await (await self._handle()).cmd.exec(own_command(command))).success:
                raise UsageError(problem.format(self.devbox.label))

    @property
    def _attach_stdin(self) -> bool | None:
        return True if self.spec.attaches_stdin else None

    def _runner(self, devbox: AsyncDevbox) -> AsyncCommandInterface | AsyncNamedShell:
        return devbox.shell(self.spec.shell) if self.spec.shell else devbox.cmd

    async def _handle(self) -> AsyncDevbox:
        """The SDK's devbox, on the service that was used first: the notebook may use another one meanwhile."""
        if self._box is None:
            self._box = (await self._context.client.sdk()).devbox.from_id(self.devbox.id)
            self._connection = self._context.client.connection
        return self._box


async def start_in_cell(run: CommandRun) -> None:
    """Start a command; a line in the cell tells so when that takes its time."""
    async with waiting(f"starting on {run.devbox.short}"):
        await run.start()
