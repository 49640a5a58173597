"""`%devbox exec` and `%%devbox exec`."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...devboxes import DevboxInfo
from ...durations import spell_duration
from ...errors import DevboxCommandError, DevboxTimeoutError, RemoteError, UsageError
from ...progress import counting, waiting
from ...results import DevboxResult, outcome
from ..parser import Parser, add_on_option, add_template_option, assignment, duration, variable

if TYPE_CHECKING:
    from runloop_sdk import AsyncCommandInterface, AsyncDevbox, AsyncExecution, AsyncNamedShell

    from ...cell_output import CellOutput
    from ...session import Session
    from ...transcript import Transcript

_NO_DIRECTORY = 213
"""How the command's first line says that --cwd does not exist; checked before it is believed."""
_KILLED = 128 + 9  # also what a command ends with whose devbox went away
_END_PATIENCE = 10.0  # seconds that a command's end may lag behind the end of its output, or behind a kill


def parser() -> Parser:
    """The options of `%devbox exec`."""
    made = Parser(
        "%devbox exec",
        "Run a shell command in the current devbox; %%devbox exec runs the whole cell.",
        "Stop kills the command with all that it started. {{expr}} is replaced by the value of a Python expression.\n"
        "An exit code other than 0 fails the cell.",
    )
    made.takes_command = made.shows_output = True
    made.cell = "the command"
    made.usage = "%%devbox exec [options] COMMAND\n       %%%%devbox exec [options]"  # argparse halves them
    add_on_option(made, "the devbox to run on instead of the current one")
    made.add_argument("--out", metavar="NAME", type=variable, help="put stdout into this variable")
    made.add_argument("--err", metavar="NAME", type=variable, help="put stderr into this variable")
    made.add_argument("--result", "-o", metavar="NAME", type=variable, help="put the result object into this variable")
    made.add_argument("--timeout", metavar="SECONDS", type=duration, help="kill the command after so long: 90, 90s, 5m")
    made.add_argument("--cwd", metavar="DIR", help="the directory to run in")
    made.add_argument("--env", metavar="K=V", action="append", default=[], type=assignment, help="environment variable")
    made.add_argument("--shell", metavar="NAME", help="a named shell: directory and variables last from cell to cell")
    made.add_argument("--quiet", action="store_true", help="show neither output nor status")
    made.add_argument("--no-raise-error", action="store_true", help="let the cell succeed whatever the exit code")
    add_template_option(made, "on")
    return made


async def run(session: Session, args: argparse.Namespace) -> DevboxResult:
    """Run the command, its output streaming into the cell. The variables get the result in any case."""
    args.show_status = args.cell is not None
    args.command = args.cell or args.command
    if not args.command.strip():
        raise UsageError("There is no command: write it after %devbox exec, or below %%devbox exec.")
    devbox = await session.target(args.on)
    result, timed_out = await _Run(session, devbox, args).run()
    _keep(result, args)
    if timed_out:
        told = f"stopped after --timeout {spell_duration(args.timeout)} on {devbox.label}; the command was killed."
        raise DevboxTimeoutError(told[0].upper() + told[1:], result)
    if not result.success and not args.no_raise_error:
        raise DevboxCommandError(_failed(result, devbox), result)
    return result


def _keep(result: DevboxResult, args: argparse.Namespace) -> None:
    for name, value in ((args.out, result.stdout), (args.err, result.stderr), (args.result, result)):
        if name:
            args.variables[name] = value


def _whole(args: argparse.Namespace) -> str:
    """Where all of a long output is, for the line that stands for what a cell does not show."""
    if args.result:
        return f"{args.result}.output has all of it"
    if args.out:
        return f"{args.out} has all of stdout"
    return "-o NAME keeps all of it in a variable"


def _failed(result: DevboxResult, devbox: DevboxInfo) -> str:
    killed = f" (killed by signal {result.exit_code - 128})" if 128 < result.exit_code <= 192 else ""
    return f"exit code {result.exit_code}{killed} after {spell_duration(result.duration)} on {devbox.label}."


def prepared(command: str, cwd: str | None, env: list[tuple[str, str]]) -> str:
    """The command as sent: --env and --cwd go before it on its first line, so that its line numbers stay."""
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in env)
    move = f"cd -- {_directory(cwd)} 2>/dev/null || exit {_NO_DIRECTORY}; " if cwd else ""
    return exports + move + command


def _directory(path: str) -> str:
    """`path` quoted for the shell, but for a leading ~ that means the home directory."""
    if path == "~":
        return "~"
    return "~/" + shlex.quote(path[2:]) if path.startswith("~/") and path[2:] else shlex.quote(path)


class _Run:
    """One command from its start to its end."""

    def __init__(self, session: Session, devbox: DevboxInfo, args: argparse.Namespace) -> None:
        from ...transcript import Transcript

        self._session = session
        self._devbox = devbox
        self._args = args
        self._transcript: Transcript = Transcript()
        self._started = time.monotonic()

    async def run(self) -> tuple[DevboxResult, bool]:
        """The result, and whether --timeout ended the command."""
        from ...cell_output import CellOutput

        execution = await self._start()
        async with CellOutput(quiet=self._args.quiet, whole=_whole(self._args)) as output:
            output.status(counting(f"running {{}} on {self._devbox.short} — Stop to kill"))
            try:
                exit_code, timed_out = await self._finish(execution, output)
            except asyncio.CancelledError:
                await execution.kill()
                output.final(f"✗ stopped and killed · {self._elapsed()} · {self._devbox.short}")
                raise
            await self._check_directory(exit_code)
            if self._args.show_status:
                output.final(f"{outcome(exit_code, self._duration())} · {self._devbox.short}")
        return self._result(execution, exit_code), timed_out

    async def _start(self) -> AsyncExecution:
        from runloop_sdk import APIStatusError, AuthenticationError

        devbox = await self._handle()
        command = prepared(self._args.command, self._args.cwd, self._args.env)
        try:
            async with waiting(f"starting on {self._devbox.short}"):
                return await self._runner(devbox).exec_async(command)
        except AuthenticationError:
            raise
        except APIStatusError:
            await self._session.check_usable(self._devbox.id)
            raise

    async def _finish(self, execution: AsyncExecution, output: CellOutput) -> tuple[int, bool]:
        deadline = asyncio.timeout(self._args.timeout)
        try:
            async with deadline:
                await self._session.while_service_lives(self._stream(execution, output))
                return await self._exit_code(execution), False
        except TimeoutError:
            if not deadline.expired():
                raise
            await execution.kill()
            return await self._exit_code(execution), True

    async def _stream(self, execution: AsyncExecution, output: CellOutput) -> None:
        async with aclosing(execution.output()) as chunks:
            async for chunk in chunks:
                self._transcript.append(chunk.stream, chunk.text)
                output.write(chunk.stream, chunk.text)

    async def _exit_code(self, execution: AsyncExecution) -> int:
        from runloop_sdk import PollingConfig

        result = await execution.result(polling_config=PollingConfig(timeout_seconds=_END_PATIENCE))
        if result.exit_code is None:  # the devbox ended before the command did
            await self._session.check_usable(self._devbox.id)
            raise RemoteError(f"The command on {self._devbox.label} ended without an exit code.")
        if result.exit_code == _KILLED:
            await self._session.check_usable(self._devbox.id)
        return result.exit_code

    async def _check_directory(self, exit_code: int) -> None:
        cwd = self._args.cwd
        if exit_code != _NO_DIRECTORY or not cwd or len(self._transcript):
            return
        devbox = await self._handle()
        if not (await self._runner(devbox).exec(f"test -d {_directory(cwd)}")).success:
            raise UsageError(f"There is no directory {cwd!r} on {self._devbox.label} (--cwd).")

    def _runner(self, devbox: AsyncDevbox) -> AsyncCommandInterface | AsyncNamedShell:
        return devbox.shell(self._args.shell) if self._args.shell else devbox.cmd

    async def _handle(self) -> AsyncDevbox:
        return (await self._session.sdk()).devbox.from_id(self._devbox.id)

    def _duration(self) -> float:
        return time.monotonic() - self._started

    def _elapsed(self) -> str:
        return spell_duration(self._duration())

    def _result(self, execution: AsyncExecution, exit_code: int) -> DevboxResult:
        return DevboxResult(
            exit_code,
            self._transcript,
            duration=self._duration(),
            execution_id=execution.execution_id,
            devbox_id=self._devbox.id,
        )
