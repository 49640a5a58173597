"""A console in the notebook: commands on a devbox, one at a time, their output as it comes.

All views show the same. What a command printed is kept whole; a page gets the last of it, at a pace it can follow. The
commands share a directory and exported variables; what is typed while one runs is its input.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import MagicError
from ..executions.command_spec import CommandSpec
from ..executions.run import CommandRun
from ..operations.transfers import free_path
from ..output.output_targets import ScreenSize
from ..output.transcript import Transcript
from . import assets
from .console_buffer import ConsoleBuffer, Printer
from .protocol import console as messages
from .protocol.console import Piece
from .tool import DevboxTool

if TYPE_CHECKING:
    from ..resources.devboxes import DevboxInfo
    from ..results import DevboxResult
    from ..session import Session

_REMEMBERED = 200  # commands
_LOOK = 1.0  # seconds between two looks at whether the output of a command can be had
_REST = 1.0  # seconds in which the rest of the output of a killed command comes, or is left


@dataclass(slots=True)
class _Command:
    """One that runs. `task` follows it; `stopping` once its end was asked for, `killed` after it."""

    run: CommandRun
    task: asyncio.Task[Any] | None
    stopping: bool = False
    killed: bool = False

    def leave(self) -> None:
        """Follow it no more."""
        if self.task is not None:
            self.task.cancel()

    @property
    def title(self) -> str:
        """Its first line."""
        return self.run.spec.title


class Console(DevboxTool):
    """Runs commands on the devbox, one at a time."""

    _esm = assets.script("console")
    _sheet = assets.style("console")
    protocol = messages.PROTOCOL

    def __init__(self, session: Session, devbox: DevboxInfo, **options: Any) -> None:
        super().__init__(session, devbox, "Console", **options)
        self._shell = f"console-{secrets.token_hex(4)}"
        self._scroll = ConsoleBuffer()
        self._history: list[str] = []
        self._command: _Command | None = None
        self._printed = Transcript()
        self._size = ScreenSize.of_cell(session.settings.columns)
        self._printer = self._new_printer()
        self.channel.on(messages.Run, self._execute)
        self.channel.on(messages.Input, self._input)
        self.channel.on(messages.EndInput, self._end_input)
        self.channel.on(messages.Stop, self._stop)
        self.channel.on(messages.Clear, self._clear)
        self.channel.on(messages.Save, self._save)

    @property
    def running(self) -> bool:
        """True while a command runs."""
        return self._command is not None

    @property
    def close_message(self) -> str:
        """Says what closing it ends."""
        return f"Stopped {self._command.title!r} on {self.devbox.short}." if self._command else ""

    def post_snapshot(self, view: str) -> None:
        """Send what is shown, what runs, and what was typed before."""
        self.channel.post(messages.Snapshot(self._scroll.pieces, self._history), view=view)
        self.channel.post(_state(self._command), view=view)

    async def ended(self) -> None:
        """A command that nobody can stop any more ends."""
        if self._command is not None:
            await self._kill(self._command)

    # What the page asks for

    async def _execute(self, view: str, run: messages.Run) -> None:
        text = run.command.strip()
        if not text:
            return
        if self._command is not None:
            self.say(f"{self._command.title!r} still runs: stop it before you run another command.")
            return
        self.say("")
        self._history = [*[line for line in self._history if line != text][1 - _REMEMBERED :], text]
        self._printed = Transcript()
        spec = CommandSpec(text, text.partition("\n")[0], shell=self._shell, open_input=True, size=self._size)
        command = _Command(CommandRun(self._session, self.devbox, spec, self._printed), asyncio.current_task())
        self._command = command
        self._tell(Piece("command", text))
        self._printer = self._new_printer()
        self._post_state()
        try:
            await self._follow(command)
        finally:
            if not self.channel.is_closed:  # else `ended` wants to know what ran
                self._command = None
                self._post_state()

    async def _input(self, view: str, line: messages.Input) -> None:
        """Give the command a line. One that comes too late is never taken for a command."""
        if self._command is None or not self._command.run.started:
            self.say("No command waits for input now: nothing was sent.")
        elif (await self.checked(self._command.run.execution.send_stdin(f"{line.text}\n"))).success:
            self._tell(Piece("input", line.text))
        else:
            self.say("The command takes no more input: nothing was sent.")

    async def _end_input(self, view: str, _: messages.EndInput) -> None:
        if self._command is not None and self._command.run.started:
            await self.checked(self._command.run.execution.close_std_in())

    async def _stop(self, view: str, _: messages.Stop) -> None:
        """Kill the command with all it started; asked a second time, wait for it no more."""
        command = self._command
        if command is not None and command.stopping:
            command.leave()
        elif command is not None:
            await self._kill(command)

    async def _clear(self, view: str, _: messages.Clear) -> None:
        self._printer.end_lines()
        self._scroll.clear()
        self.channel.post(messages.Cleared())

    async def _save(self, view: str, _: messages.Save) -> None:
        if not len(self._printed):
            self.say("There is no output to save: run a command first.")
            return
        name = re.sub(r"[^\w.-]", "_", f"{self.devbox.short[:80]}-output.txt")
        path = await asyncio.to_thread(free_path, name)
        await self._printed.save(path)
        self._tell(Piece("quiet", f"Saved the whole output of the last command as {path} beside the notebook."))

    # One command

    async def _follow(self, command: _Command) -> None:
        """Show its output and how it ended. When this console is closed, `ended` does the rest."""
        try:
            news = await self._outcome(command)
        except asyncio.CancelledError:
            if self.channel.is_closed or not command.stopping:
                raise
            news = Piece("bad", _left(command, self.devbox.short))
        except MagicError as error:
            news = Piece("bad", str(error))
        self._tell(news)

    async def _outcome(self, command: _Command) -> Piece:
        # A start that was asked for happens, whether it is waited for or not: whoever stops it must be able to.
        starting = asyncio.ensure_future(self._start(command))
        starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(starting)
        telling = asyncio.create_task(self._tell_trouble(command))
        try:
            return _news(command, await self.checked(command.run.finish(self._printer)))
        finally:
            telling.cancel()

    async def _tell_trouble(self, command: _Command) -> None:
        """Say while a command runs that its output cannot be had, and take that away when it can."""
        told = ""
        while True:
            await asyncio.sleep(_LOOK)
            if told or command.run.trouble:
                told = command.run.trouble
                self.say(told and f"{told}.")

    async def _start(self, command: _Command) -> None:
        await self.checked(command.run.start())
        if command.stopping:
            await self._kill(command)
        self._post_state()

    async def _kill(self, command: _Command) -> None:
        command.stopping = True
        self._post_state()
        if not command.run.started:  # `_start` does it
            return
        try:
            await self.checked(command.run.kill())
        except MagicError:
            command.stopping = False  # it goes on
            self._post_state()
            raise
        command.killed = True
        await asyncio.sleep(_REST)
        if command is self._command:
            command.leave()

    def _new_printer(self) -> Printer:
        return Printer(lambda pieces: self._show(*pieces), self._size)

    def _tell(self, news: Piece) -> None:
        """Show something that the command did not print, below what it has printed so far."""
        self._printer.end_lines()
        self._show(news)

    def _show(self, *pieces: Piece) -> None:
        self._scroll.add(pieces)
        self.channel.post(messages.Pieces(pieces))

    def _post_state(self) -> None:
        self.channel.post(_state(self._command))


def _state(command: _Command | None) -> messages.State:
    if command is None:
        return messages.State(running=False)
    return messages.State(running=True, stopping=command.stopping, seconds=round(command.run.seconds, 1))


def _left(command: _Command, devbox: str) -> str:
    if command.killed:
        return f"stopped after {command.run.elapsed}; the rest of what it had printed was not read"
    return f"given up after {command.run.elapsed}: it may still run on {devbox}"


def _news(command: _Command, result: DevboxResult) -> Piece:
    if command.stopping:
        return Piece("bad", f"stopped after {command.run.elapsed}")
    return Piece("good" if result.success else "bad", f"exit code {result.exit_code} · {command.run.elapsed}")
