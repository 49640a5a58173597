"""Commands that go on when their cell has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..errors import MagicError
from ..kernel import loop
from .foreground import watch_fan_out

if TYPE_CHECKING:
    from ..output.cell_output import CellOutput
    from ..results import DevboxResult, FanOutResult
    from .context import RunContext
    from .fan_out import FanOut
    from .run import CommandRun

T = TypeVar("T")
R = TypeVar("R", covariant=True)

_KEPT = 100  # ended ones that are still listed


class Part(Protocol):
    """One command of what runs in the background, as lists show it."""

    @property
    def execution_id(self) -> str:
        """Its id, for `%devbox attach` and `%devbox kill`."""

    @property
    def devbox(self) -> str:
        """The name of the devbox that it runs on."""

    @property
    def title(self) -> str:
        """Its first line, as it was typed."""

    @property
    def state(self) -> str:
        """Its state, in words."""

    @property
    def age(self) -> float:
        """Seconds since it was started."""


class Background(Generic[R]):
    """A command that goes on when its cell has ended, and has a result in the end."""

    def __init__(self, context: RunContext, output: CellOutput) -> None:
        self._context = context
        self._output = output
        self._result: R | None = None
        self._error: BaseException | None = None
        self._over = asyncio.Event()

    @property
    def parts(self) -> Sequence[Part]:
        """Its commands."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """True if it has ended."""
        return self._over.is_set()

    @property
    def result(self) -> R | None:
        """Its result once it has ended. Raises what kept it from having one."""
        if self._error is not None:
            raise self._error
        return self._result

    def wait(self, timeout: float | None = None) -> R:
        """Its result once it has ended; `TimeoutError` after `timeout` seconds. Stop ends the wait, not the command."""
        return self._do(self._wait(timeout))

    def __await__(self) -> Generator[object, None, R]:
        return self._wait(None).__await__()

    async def follow(self) -> None:
        """Stream its output until it ends. What keeps it from ending well is kept, and shown where the output is."""
        async with self._output as output:
            try:
                self._result = await self._context.client.guard(self._finish(output))
            except MagicError as error:
                self._error = error
            except BaseException as error:
                self._error = error
                raise
            finally:
                # Before `done`: whoever waits may look at the cell, which has the last word by then.
                self._conclude(output)
                self._over.set()

    async def _finish(self, output: CellOutput) -> R:
        raise NotImplementedError

    def _conclude(self, output: CellOutput) -> None:
        """Leave a last word under the output."""
        raise NotImplementedError

    async def _wait(self, timeout: float | None) -> R:
        async with asyncio.timeout(timeout):
            await self._over.wait()
        result = self.result
        assert result is not None
        return result

    def _do(self, work: Coroutine[object, None, T]) -> T:
        return loop.run(self._context.client.guard(work))


class BackgroundExecution(Background["DevboxResult"]):
    """A command that runs in the background; its output goes to the cell that started it.

    `wait()`, `kill()` and `send_stdin()` are plain calls; `await execution` waits as well.
    """

    def __init__(self, context: RunContext, run: CommandRun, output: CellOutput) -> None:
        super().__init__(context, output)
        self._run = run

    @property
    def parts(self) -> Sequence[Part]:
        """Itself."""
        return (self,)

    @property
    def execution_id(self) -> str:
        """Its id, for `%devbox attach` and `%devbox kill`."""
        return self._run.execution.execution_id

    @property
    def devbox_id(self) -> str:
        """The devbox it runs on."""
        return self._run.devbox.id

    @property
    def title(self) -> str:
        """Its first line, as it was typed."""
        return self._run.spec.title

    @property
    def devbox(self) -> str:
        """The name of the devbox that it runs on."""
        return self._run.devbox.short

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return self._run.seconds

    @property
    def output(self) -> str:
        """Its output so far, stdout and stderr together."""
        return self._run.transcript.output

    @property
    def state(self) -> str:
        """Its state, in words."""
        if self._error is not None:
            return f"✗ {self._error}"
        if self._result is not None:
            return self._result.outcome
        return self._run.line("● running for {}")()

    def kill(self) -> None:
        """Kill it with all that it started."""
        self._do(self._run.kill())

    def send_stdin(self, text: str) -> None:
        """Write to its input; it must have been started with --stdin or --interactive."""
        self._do(self._run.execution.send_stdin(text))

    def close_stdin(self) -> None:
        """End its input."""
        self._do(self._run.execution.close_std_in())

    def __repr__(self) -> str:
        return " · ".join(filter(None, [self.state, self.devbox, self.title, self.execution_id]))

    async def _finish(self, output: CellOutput) -> DevboxResult:
        output.status(self._run.line(f"running {{}} in the background on {self.devbox}"))
        return await self._run.finish(output)

    def _conclude(self, output: CellOutput) -> None:
        output.final(f"{self.state} · {self.devbox}")


class BackgroundFanOut(Background["FanOutResult"]):
    """A command that runs in the background on several devboxes; its grid and its output stay in their cell.

    `kill()` and `send_stdin()` mean all of them; the result is a `FanOutResult`.
    """

    def __init__(self, context: RunContext, fan_out: FanOut, output: CellOutput, *, fail_fast: bool) -> None:
        super().__init__(context, output)
        self._fan_out = fan_out
        self._fail_fast = fail_fast

    @property
    def parts(self) -> Sequence[Part]:
        """The command on each devbox."""
        return self._fan_out.members

    @property
    def output(self) -> dict[str, str]:
        """The output of each so far, stdout and stderr together, by the devbox's name or its id."""
        return self._fan_out.outputs

    @property
    def state(self) -> str:
        """Their state, in words."""
        if self._error is not None:
            return f"✗ {self._error}"
        return self._result.outcome if self._result is not None else f"● {self._fan_out.summary}"

    def kill(self) -> None:
        """Kill all that still run, with all that they started."""
        self._do(self._fan_out.kill())

    def send_stdin(self, text: str) -> None:
        """Write to the input of all that still run; they must have been started with --stdin."""
        self._do(self._fan_out.send_stdin(text))

    def close_stdin(self) -> None:
        """End the input of all that still run."""
        self._do(self._fan_out.close_stdin())

    def __repr__(self) -> str:
        devboxes = len(self.parts)
        return f"{self.state} · {devboxes} {'devbox' if devboxes == 1 else 'devboxes'} · {self.parts[0].title}"

    async def begun(self) -> None:
        """Wait until each has started, or cannot be."""
        await self._fan_out.begun()

    async def _finish(self, output: CellOutput) -> FanOutResult:
        return await watch_fan_out(
            self._fan_out, output, fail_fast=self._fail_fast, note="in the background", stopped="", keep=True
        )

    def _conclude(self, output: CellOutput) -> None:
        if self._error is not None or not output.shows_displays:
            output.final(self.state)


def start_in_background(context: RunContext, run: CommandRun, output: CellOutput) -> BackgroundExecution:
    """Go on with a command that has started when the cell has ended."""
    execution = BackgroundExecution(context, run, output)
    loop.background(execution.follow())
    _keep(context, execution)
    return execution


async def fan_out_in_background(
    context: RunContext, fan_out: FanOut, output: CellOutput, *, fail_fast: bool
) -> BackgroundFanOut:
    """Start a command on several devboxes, and go on with it when the cell has ended. Stop meanwhile kills all."""
    execution = BackgroundFanOut(context, fan_out, output, fail_fast=fail_fast)
    following = loop.background(execution.follow())
    try:
        await execution.begun()
    except asyncio.CancelledError:
        # A Stop during the start means all of it: what has started is killed as it is cancelled.
        following.cancel()
        raise
    _keep(context, execution)
    return execution


def _keep(context: RunContext, execution: Background[object]) -> None:
    # Those that run are always kept: they are how a forgotten command is found and killed.
    ended = [each for each in context.executions if each.done]
    for old in ended[:-_KEPT]:
        context.executions.remove(old)
    context.executions.append(execution)
