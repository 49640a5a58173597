"""Named shells: one live bash per name, whose commands run one after the other and share its state.

The shell reads its commands from a pipe. After each one it writes a mark with a secret word, the exit status and
its folder to both of its original outputs, so everything before the mark belongs to the command. A command that
ends the shell (`exit 3`, `exec`, a kill) ends with the shell's own exit status; the next command starts a fresh
shell in the last known folder, without the old one's variables. What background jobs print between two commands
is dropped.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shlex
from typing import TYPE_CHECKING, Any

from ...sandbox import shells
from ...sandbox.base import Command, SandboxError
from .execution import CANNOT_START, settle
from .pipes import PipeReader, PipeWriter, close_all, open_each, open_nothing, open_pipe, open_small_pipe

if TYPE_CHECKING:
    from ...sandbox.base import Process, Sandbox
    from ..fair_queue import Flow
    from .execution import Execution
    from .output_log import Stream

# The mark goes to copies of the outputs, so that `exec >file` in a command does not swallow it, and what the
# shell itself traces under `set -x` goes nowhere.
_PROLOGUE = """exec 198>&1 199>&2
__runloop_mark() {{
  local status=$?
  printf '\\036{word} %d %s\\036' "$status" "$PWD" >&198
  printf '\\036{word} %d \\036' "$status" >&199
  return "$status"
}}
trap 'printf "\\036{word} exit %s\\036" "$PWD" >&198' EXIT
cd {cwd} 2>/dev/null
"""
_STATUS = re.compile(r"\d{1,3}", re.ASCII)
_LONGEST = 64 << 10
"""A mark holds a folder's name, seldom one of more than 4096 bytes. Anything longer is the output of a command."""
_TURN = "eval {command} </dev/null\n{{ __runloop_mark; }} 2>/dev/null\n"


class Marks:
    """Takes the marks out of one stream of output."""

    def __init__(self, word: bytes) -> None:
        self._start = b"\x1e" + word + b" "
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """The output before the first mark, and what the mark says once it is whole. The rest is dropped."""
        data = self._held + data
        begin = data.find(self._start)
        if begin < 0:
            keep = self._possible_start(data)
            self._held = data[len(data) - keep :]
            return data[: len(data) - keep], None
        end = data.find(b"\x1e", begin + len(self._start))
        # A command that prints the beginning of a mark must not make the service hold back its output without end.
        if end < 0 and len(data) - begin > _LONGEST:
            self._held = b""
            return data, None
        self._held = data[begin:] if end < 0 else b""
        return data[:begin], None if end < 0 else data[begin + len(self._start) : end]

    def rest(self) -> bytes:
        """The bytes that were held back because they might have become a mark."""
        held, self._held = self._held, b""
        return held

    def _possible_start(self, data: bytes) -> int:
        tail = data[-len(self._start) + 1 :]
        place = tail.rfind(b"\x1e")
        return len(tail) - place if place >= 0 and self._start.startswith(tail[place:]) else 0


class Shell:
    """One named shell of a devbox."""

    def __init__(self, sandbox: Sandbox, command: Command, flow: Flow) -> None:
        self._sandbox = sandbox
        self._command = command
        self._flow = flow
        self._turn = asyncio.Lock()
        self._bash: _Bash | None = None
        self._cwd: str | None = None

    async def run(self, execution: Execution, dropped: asyncio.Future[int]) -> int:
        """Wait for the command's turn, run it, return its exit status; that of `dropped` if it ends before."""
        # Killed before its turn, a command must end now: the one that holds the turn may run for hours.
        turn = asyncio.ensure_future(self._turn.acquire())
        either: list[asyncio.Future[Any]] = [turn, dropped]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not turn.done():
            turn.cancel()
            return dropped.result()
        try:
            return await self._take_turn(execution, dropped)
        finally:
            self._turn.release()

    async def _take_turn(self, execution: Execution, dropped: asyncio.Future[int]) -> int:
        bash = self._bash = self._bash or await self._start()
        if dropped.done():
            return dropped.result()
        execution.started()
        code = await bash.run(execution)
        # Kept here, not in the bash: the next one begins where this one was when it ended.
        self._cwd = bash.cwd or self._cwd
        if bash.gone:
            self._bash = None
        return code

    async def _require_bash(self) -> None:
        (nothing, _) = open_nothing()
        try:
            looking = Command(("find-shell", shells.BASH), is_tool=True)
            process = await self._sandbox.spawn(looking, stdin=nothing, stdout=nothing, stderr=nothing)
            if await process.wait():
                raise SandboxError(shells.missing(shells.BASH))
        finally:
            os.close(nothing)

    def runner(self) -> ShellRunner:
        """A runner by which one execution uses this shell."""
        return ShellRunner(self)

    def close(self) -> None:
        """Let go of a shell whose devbox has stopped."""
        if self._bash is not None:
            self._bash.close()

    async def signal(self, number: int) -> None:
        """Send a signal to the shell and all it runs."""
        if self._bash is not None:
            await self._bash.process.signal(number, group=True)

    async def _start(self) -> _Bash:
        await self._require_bash()
        source, output, error = open_each(open_small_pipe, open_pipe, open_pipe)
        try:
            process = await self._sandbox.spawn(self._command, stdin=source[0], stdout=output[1], stderr=error[1])
        except BaseException:
            close_all(source[1], output[0], error[0])
            raise
        finally:
            close_all(source[0], output[1], error[1])
        bash = _Bash(process, PipeWriter(source[1]), output[0], error[0], self._flow)
        await bash.prepare(self._cwd)
        return bash


class ShellRunner:
    """One execution's turn in a named shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._execution: Execution | None = None
        self._dropped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self, execution: Execution) -> int:
        """Run it when its turn comes; a signal before that ends it without running it."""
        self._execution = execution
        return await self._shell.run(execution, self._dropped)

    async def signal(self, number: int, *, group: bool) -> None:
        """End a command that still waits; otherwise signal the shell and all it runs."""
        if self._execution is not None and self._execution.record.status == "running":
            await self._shell.signal(number)
        elif not self._dropped.done():
            self._dropped.set_result(128 + number)


class _Bash:
    """A live bash and the command that it runs."""

    def __init__(self, process: Process, control: PipeWriter, output: int, error: int, flow: Flow) -> None:
        self.process = process
        self.cwd: str | None = None
        self.gone = False
        self._control = control
        self._word = secrets.token_hex(16)
        self._marks: dict[Stream, Marks] = {}
        self._missing: set[Stream] = set()
        self._status: int = 0
        self._execution: Execution | None = None
        self._at_mark: asyncio.Event = asyncio.Event()
        self._readers = [
            PipeReader(output, lambda data: self._heard("stdout", data), flow),
            PipeReader(error, lambda data: self._heard("stderr", data), flow),
        ]
        self._exit = asyncio.ensure_future(process.wait())

    async def prepare(self, cwd: str | None) -> None:
        """Define the mark, and change to the folder where the last shell of this name was."""
        prologue = _PROLOGUE.format(word=self._word, cwd=shlex.quote(cwd) if cwd else ".")
        await self._tell(prologue)

    async def run(self, execution: Execution) -> int:
        """Run one command to its mark, or to the end of the shell."""
        word = self._word.encode()
        self._marks = {"stdout": Marks(word), "stderr": Marks(word)}
        # Both streams have a mark: the pipes are read apart, so one may be behind the other.
        self._missing = {"stdout", "stderr"}
        self._at_mark.clear()
        self._execution = execution
        await self._tell(_TURN.format(command=shlex.quote(execution.record.command)))
        marked = asyncio.ensure_future(self._at_mark.wait())
        await asyncio.wait({marked, self._exit}, return_when=asyncio.FIRST_COMPLETED)
        marked.cancel()
        if not self._at_mark.is_set():
            await self._ended()
        self._execution = None
        return self._status

    def close(self) -> None:
        """Close the pipes, unless a command runs, which closes them at its end."""
        if self._execution is None:
            self._control.close()
            self._exit.cancel()
            for reader in self._readers:
                reader.close()

    async def _tell(self, text: str) -> None:
        try:
            await self._control.write(text.encode("utf-8", "surrogateescape"))
        except BrokenPipeError:
            return  # it has ended; `run` sees that by its exit

    async def _ended(self) -> None:
        self.gone = True
        self._control.close()
        # Before the exit is told: what it printed last is still in the pipes.
        await settle(self._readers)
        for stream, marks in self._marks.items():
            self._print(stream, marks.rest())
        self._status = await self._exit

    def _heard(self, stream: Stream, data: bytes) -> None:
        # After the mark of this command and before the next one begins: of background jobs, which nobody asked for.
        if stream not in self._missing:
            return
        output, mark = self._marks[stream].feed(data)
        self._print(stream, output)
        if mark is not None:
            self._take(stream, mark)

    def _print(self, stream: Stream, output: bytes) -> None:
        if output and self._execution is not None:
            self._execution.output(stream, output)

    def _take(self, stream: Stream, mark: bytes) -> None:
        status, _, folder = mark.decode("utf-8", "surrogateescape").partition(" ")
        self._missing.discard(stream)
        if folder:
            self.cwd = folder
        if status != "exit":
            # A command can find out the secret word, and print marks of its own.
            self._status = int(status) & 255 if _STATUS.fullmatch(status) else CANNOT_START
            if not self._missing:
                self._at_mark.set()
