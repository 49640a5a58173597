"""A command that goes on when its cell has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from .. import loop
from ..errors import MagicError
from ..progress import counting

if TYPE_CHECKING:
    from ..cell_output import CellOutput
    from ..results import DevboxResult
    from ..session import Session
    from .run import CommandRun

T = TypeVar("T")

_KEPT = 100  # ended ones that are still listed


class BackgroundExecution:
    """A command that runs in the background; its output goes to the cell that started it.

    `wait()`, `kill()` and `send_stdin()` are plain calls; `await execution` waits as well.
    """

    def __init__(self, session: Session, run: CommandRun, output: CellOutput) -> None:
        self._session = session
        self._run = run
        self._output = output
        self._result: DevboxResult | None = None
        self._error: BaseException | None = None
        self._over = asyncio.Event()

    @property
    def execution_id(self) -> str:
        """Its id, for `%devbox attach` and `%devbox kill`."""
        return self._run.execution.execution_id

    @property
    def devbox_id(self) -> str:
        """The devbox it runs on."""
        return self._run.devbox.id

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    @property
    def result(self) -> DevboxResult | None:
        """Its result once it has ended. Raises what kept it from having one."""
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def title(self) -> str:
        """Its first line, as it was typed."""
        return self._run.order.title

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
        """What it has printed so far, stdout and stderr together."""
        return self._run.transcript.output

    def wait(self, timeout: float | None = None) -> DevboxResult:
        """Its result once it has ended; `TimeoutError` after `timeout` seconds. Stop ends the wait, not the command."""
        return self._do(self._wait(timeout))

    def kill(self) -> None:
        """Kill it with all that it started."""
        self._do(self._run.kill())

    def send_stdin(self, text: str) -> None:
        """Write to its input; it must have been started with --stdin or --interactive."""
        self._do(self._run.execution.send_stdin(text))

    def close_stdin(self) -> None:
        """End its input."""
        self._do(self._run.execution.close_std_in())

    def __await__(self) -> Generator[Any, None, DevboxResult]:
        return self._wait(None).__await__()

    def __repr__(self) -> str:
        return " · ".join(filter(None, [self.state, self.devbox, self.title, self.execution_id]))

    @property
    def state(self) -> str:
        """How it is, in words."""
        if self._error is not None:
            return f"✗ {self._error}"
        if self._result is not None:
            return self._result.outcome + (" · --timeout" if self._run.timed_out else "")
        return f"● running for {self._run.elapsed}"

    async def follow(self) -> None:
        """Stream its output until it ends. What keeps it from ending well is shown where the output is."""
        where = self._run.devbox.short
        async with self._output as output:
            output.status(counting(f"running {{}} in the background on {where}"))
            try:
                self._result = await self._session.guard(self._run.finish(output))
            except MagicError as error:
                self._error = error
            except BaseException as error:
                self._error = error
                raise
            finally:
                output.final(f"{self.state} · {where}")
                self._over.set()

    async def _wait(self, timeout: float | None) -> DevboxResult:
        async with asyncio.timeout(timeout):
            await self._over.wait()
        result = self.result
        assert result is not None
        return result

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return loop.run(self._session.guard(work))


def start_in_background(session: Session, run: CommandRun, output: CellOutput) -> BackgroundExecution:
    """Go on with a command that has started when the cell has ended."""
    execution = BackgroundExecution(session, run, output)
    loop.background(execution.follow())
    ended = [each for each in session.executions if each.done]
    for old in ended[:-_KEPT]:
        session.executions.remove(old)
    session.executions.append(execution)
    return execution
