"""One command on many devboxes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from ..errors import ConnectionLostError, MagicError
from ..output.output_targets import ScreenSize
from ..output.transcript import Transcript
from ..resources.devboxes import DevboxInfo
from ..results import DevboxResult, FanOutResult, row_of
from .grid import Row, summary
from .prefixed import PrefixedOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..output.cell_output import CellOutput
    from .context import RunContext
    from .run import CommandRun

    MakeRun = Callable[[DevboxInfo, Transcript], CommandRun]

_HEAD = 300_000  # characters that all devboxes together may show; beyond their shares only their last lines are
_IN_MEMORY = 64 * 1024 * 1024  # bytes of output that all together keep in memory
_LONGEST_INTERVAL = 2.0
_INTERVAL = 0.25  # seconds between two looks of a small grid


class Member:
    """One devbox's part."""

    def __init__(self, context: RunContext, run: CommandRun, output: PrefixedOutput) -> None:
        self.info = run.devbox
        self.result: DevboxResult | None = None
        self._context = context
        self._output = output
        self._run = run
        self._is_started = False
        self._last_row: Row | None = None
        self.is_lost = False
        """True if nobody knows how it ended, or whether it did."""
        self.begun = asyncio.Event()
        """Set when it has started, or cannot be."""

    @property
    def devbox(self) -> str:
        """The devbox's name, else its id."""
        return self.info.short

    @property
    def execution_id(self) -> str:
        """Its id; empty where it could not be started."""
        return str(self._run.facts["execution_id"])

    @property
    def title(self) -> str:
        """The command's first line, as it was typed."""
        return self._run.spec.title

    @property
    def state(self) -> str:
        """Its state, in words."""
        return self.result.outcome if self.result is not None else self._run.line("● running for {}")()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return self._run.seconds

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._run.transcript.output

    async def run(self) -> DevboxResult:
        """Run the command to its end; a devbox that fails has a result that says so. Cancelled, it is killed."""
        try:
            self.result = await self._context.client.guard(self._finish())
        except MagicError as error:
            self.is_lost = isinstance(error, ConnectionLostError)
            self.result = DevboxResult(None, self._run.transcript, **self._run.facts, error=str(error))
        finally:
            self._output.close()
            # Also for one that could not be started: whoever waits for all to begin must not wait for that.
            self.begun.set()
        return self.result

    @property
    def runs(self) -> bool:
        """True if it has started and not ended."""
        return self._is_started and self.result is None

    async def kill(self) -> None:
        """Kill the command if it runs."""
        if self.runs:
            await self._context.client.guard(self._run.kill())

    async def send_stdin(self, text: str) -> None:
        """Write to its input if it runs."""
        if self.runs:
            await self._run.execution.send_stdin(text)

    async def close_stdin(self) -> None:
        """End its input if it runs."""
        if self.runs:
            await self._run.execution.close_std_in()

    @property
    def row(self) -> Row:
        """Its row, as it is now."""
        if self.result is not None:
            self._last_row = self._last_row or row_of(self.devbox, self.result)
            return self._last_row
        last = self._output.last_line
        if self._is_started:
            text = "running, no connection" if self._run.trouble else "running"
            return Row(self.devbox, "running", text, self._run.seconds, last)
        return Row(self.devbox, "starting", "starting", self._run.seconds, last)

    async def _finish(self) -> DevboxResult:
        await self._run.start()
        self._is_started = True
        self.begun.set()
        try:
            return await self._run.finish(self._output)
        except asyncio.CancelledError:
            await self._run.kill()
            raise


class FanOut:
    """One command on many devboxes: `run`, while `rows` shows how they are."""

    def __init__(
        self,
        context: RunContext,
        devboxes: Sequence[DevboxInfo],
        make: MakeRun,
        output: CellOutput,
        *,
        tail: int | None,
    ) -> None:
        width = max(len(devbox.short) for devbox in devboxes)
        # Shares, not a common pot: one that prints without end must not take the room of all others.
        budget = 0 if tail is not None else _HEAD // len(devboxes)
        last = tail or max(min(500 // len(devboxes), 10), 3)
        memory = max(_IN_MEMORY // len(devboxes), 64 * 1024)
        runs = [make(box, Transcript(in_memory=memory)) for box in devboxes]
        self.members = [
            Member(
                context,
                run,
                PrefixedOutput(
                    run.devbox.short, width, n, output, budget=budget, last=last, size=run.spec.size or ScreenSize()
                ),
            )
            for n, run in enumerate(runs)
        ]

    async def begun(self) -> None:
        """Wait until each has started, or cannot be."""
        for member in self.members:
            await member.begun.wait()

    async def kill(self) -> None:
        """Kill all that run."""
        await asyncio.gather(*(member.kill() for member in self.members))

    async def send_stdin(self, text: str) -> None:
        """Write to the input of all that run."""
        await asyncio.gather(*(member.send_stdin(text) for member in self.members))

    async def close_stdin(self) -> None:
        """End the input of all that run."""
        await asyncio.gather(*(member.close_stdin() for member in self.members))

    @property
    def outputs(self) -> dict[str, str]:
        """The output of each so far, by the devbox's name, or its id where two share a name."""
        names = Counter(member.devbox for member in self.members)
        return {
            member.devbox if names[member.devbox] == 1 else member.info.id: member.output for member in self.members
        }

    @property
    def rows(self) -> list[Row]:
        """The row of each devbox, as it is now."""
        return [member.row for member in self.members]

    @property
    def summary(self) -> str:
        """The same in a few words."""
        return summary(self.rows)

    async def run(self, *, fail_fast: bool, show: Callable[[list[Row]], None]) -> FanOutResult:
        """The result of each. With `fail_fast` the first failure kills the others; Stop kills all.

        Whatever goes wrong with one, the others run to their end before it is raised.
        """
        showing = asyncio.create_task(self._show(show))
        try:
            runs = (self._run(member, fail_fast=fail_fast) for member in self.members)
            # Exceptions are gathered, not raised: the first of them would leave the others running with nobody to wait
            # for them.
            outcomes = await asyncio.gather(*runs, return_exceptions=True)
        finally:
            showing.cancel()
        return FanOutResult(map(_result, outcomes))

    async def _run(self, member: Member, *, fail_fast: bool) -> DevboxResult:
        result = await member.run()
        # A connection that is lost is no failure of the command, which may succeed yet.
        if fail_fast and not result.success and not member.is_lost:
            await self.kill()
        return result

    async def _show(self, show: Callable[[list[Row]], None]) -> None:
        # A grid is sent whole each time: one of a thousand rows is sent less often.
        pause = min(_INTERVAL + len(self.members) / 500, _LONGEST_INTERVAL)
        while True:
            show(self.rows)
            await asyncio.sleep(pause)


def _result(outcome: DevboxResult | BaseException) -> DevboxResult:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
