"""One command from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import MagicError
from ..output.progress import waiting
from ..output.transcript import Transcript
from ..resources.devboxes import DevboxInfo
from ..results import DevboxResult, ResultFacts, running_cell
from ..text.durations import spell_duration
from ..text.quoting import reference
from .command_output import CommandOutput
from .command_spec import CommandSpec
from .communicate import communicate
from .execution_history import entry
from .remote_command import RemoteCommand

if TYPE_CHECKING:
    from runloop_sdk import AsyncExecution

    from .context import RunContext
    from .sink import Sink

_LOST = 3.0  # seconds without a connection to the output that are worth telling


class CommandRun:
    """One command on one devbox: `start`, then `finish`; `kill` at any time between."""

    def __init__(self, context: RunContext, devbox: DevboxInfo, spec: CommandSpec, transcript: Transcript) -> None:
        self.devbox = devbox
        self.spec = spec
        self.transcript = transcript
        self.fate = "the command was killed"
        """The end that it came to when its time was up, in words."""
        self._context = context
        self._command = RemoteCommand(context, devbox)
        self._started = time.monotonic()
        self._timed_out = False
        self._shown_in = running_cell()  # where its output is shown

    word = ""
    """The mark of the structured lines in its output, where it has such."""

    @property
    def note(self) -> str:
        """More to say about it when it is over."""
        return ""

    @property
    def execution(self) -> AsyncExecution:
        """The SDK's handle on it, once it has started."""
        assert self._command.execution is not None
        return self._command.execution

    @property
    def started(self) -> bool:
        """True if it runs, or has run."""
        return self._command.execution is not None

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
        lost = self.execution.output_lost_for if self.started else 0.0
        return f"no connection to its output for {spell_duration(lost)}, trying again" if lost > _LOST else ""

    def line(self, text: str) -> Callable[[], str]:
        """A status line: `text` with {} for the time that has passed, and the trouble there is."""
        return lambda: " · ".join(filter(None, [text.replace("{}", self.elapsed), self.trouble]))

    async def start(self) -> None:
        """Start it; `DevboxUnavailableError` tells what the devbox is doing instead."""
        await self._command.start(self.spec)
        assert self._command.connection is not None
        noted = entry(self._command.connection, self.devbox, self._command.execution_id, self.spec.title, self.word)
        self._context.execution_history.note(noted)

    async def attach(self, execution_id: str, *, since: float = 0.0) -> None:
        """Take up one that runs already, since so many seconds."""
        self._started -= since
        await self._command.attach(execution_id)

    async def finish(self, sink: Sink) -> DevboxResult:
        """Its result, its output going to `sink` as it comes; past its timeout it is killed.

        Nothing else ends it: `ConnectionLostError` says how to find it again.
        """
        deadline = asyncio.timeout(self.spec.timeout)
        try:
            async with deadline:
                return await self._command.diagnosed(self._to_its_end(sink))
        except TimeoutError:
            # One of the operating system, from a socket, is a `TimeoutError` too: it is no end of the command's time.
            if not deadline.expired():
                raise
        return await self._time_out()

    async def kill(self) -> None:
        """Kill it with all that it started."""
        await self._command.diagnosed(self._command.kill())

    async def _to_its_end(self, sink: Sink) -> DevboxResult:
        following = communicate(self._command, self.spec, self._output(), sink)
        await self._context.client.while_service_lives(following, self._command.connection)
        return await self._ended()

    def _output(self) -> CommandOutput:
        return CommandOutput(self.transcript, self._command, terminal=self.spec.terminal)

    async def _time_out(self) -> DevboxResult:
        """Kill it, and tell what is known of that: no refusal hides that its time was up."""
        from runloop_sdk import RunloopError

        self._timed_out, refusal = True, None
        try:
            await self._command.kill()
        except RunloopError as error:
            refusal = error
        # Asked even where the kill was refused: it may have been because the command had just ended by itself.
        try:
            result = await self._ended()
        except (RunloopError, MagicError) as error:
            result = await self._result(None, str(error))
        if refusal is not None:
            is_over = result.exit_code is not None
            unknown = f"it could not be killed ({refusal}): %devbox kill {self.reference}"
            self.fate = "the command has ended" if is_over else unknown
        return result

    async def _ended(self) -> DevboxResult:
        exit_code = await self._command.exit_code()
        # Only where it printed nothing: a command that began has mostly said itself what went wrong, and each check is
        # a command of its own.
        if not len(self.transcript):
            await self._command.check_surroundings(self.spec, exit_code)
        return await self._result(exit_code)

    async def _result(self, exit_code: int | None, error: str = "") -> DevboxResult:
        return DevboxResult(exit_code, self.transcript, **self.facts, error=error)

    @property
    def facts(self) -> ResultFacts:
        """The fields of its result beside the exit code and the output."""
        return {
            "duration": self.seconds,
            "execution_id": self._command.execution_id,
            "devbox_id": self.devbox.id,
            "devbox": self.devbox.known_as,
            "timed_out": self._timed_out,
            "shown_in": self._shown_in,
        }


async def start_in_cell(run: CommandRun) -> None:
    """Start a command; a line in the cell tells so when that takes its time."""
    async with waiting(f"starting on {run.devbox.short}"):
        await run.start()
