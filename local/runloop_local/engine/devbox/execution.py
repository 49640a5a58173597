"""One command in a devbox: its process, its output, its end."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from ...sandbox.base import Command, SandboxEnded, SandboxError
from ..change_notifier import ChangeNotifier
from ..errors import DiskFullError, InvalidError, of_machine
from ..ids import now_ms
from ..storage.records import Record, body_of, loader
from ..storage.store import Document
from ..waiting import wait_until
from .pipes import PipeReader, PipeWriter, close_all, open_each, open_nothing, open_pipe, open_small_pipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...sandbox.base import Process, Sandbox
    from ..fair_queue import Flow
    from .output_log import OutputLog, Stream

ExecutionStatus = Literal["queued", "running", "completed"]
Source = Literal["exec", "setup_commands", "entrypoint"]
UNFINISHED: tuple[ExecutionStatus, ...] = ("queued", "running")
KILLED = 128 + signal.SIGKILL
CANNOT_START = 126
# A background child may hold the pipes open for ever. What the command itself printed is in the pipes when it
# ends, so this much silence, or this much time in all, is enough; what comes later is read and dropped.
SILENCE_S = 0.05
GRACE_S = 0.2


@dataclass(frozen=True, slots=True)
class ExecutionRecord(Record):
    """All that is known of an execution, apart from its output."""

    id: str
    devbox_id: str
    command: str
    source: Source = "exec"
    shell: str | None = None
    status: ExecutionStatus = "queued"
    start_time_ms: int = 0
    end_time_ms: int | None = None
    exit_status: int | None = None
    failure: str | None = None
    """One sentence that says why the service ended it, if it did."""
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    """The size of its output, once it has ended; None if an earlier version has not noted that."""

    @property
    def printed(self) -> tuple[int, int] | None:
        """The bytes of stdout and of stderr."""
        if self.stdout_bytes is None or self.stderr_bytes is None:
            return None
        return self.stdout_bytes, self.stderr_bytes

    def ended(self, log: OutputLog, time_ms: int, exit_status: int | None) -> ExecutionRecord:
        """The record after its end."""
        sizes = log.sizes
        return replace(
            self,
            status="completed",
            end_time_ms=time_ms,
            exit_status=exit_status,
            stdout_bytes=sizes["stdout"],
            stderr_bytes=sizes["stderr"],
        )

    def document(self) -> Document:
        """The stored form."""
        key = f"{self.devbox_id}/{self.id}"
        return Document(
            "execution", key, body_of(self), self.devbox_id, self.status, time_ms=self.start_time_ms, listed=False
        )


loaded = loader(ExecutionRecord)
"""The record from its stored form; raises `ValueError` if it is none."""


class Runner(Protocol):
    """A way to run an execution's command: a process of its own, or a turn in a named shell."""

    async def run(self, execution: Execution) -> int:
        """Run it to its end; returns its exit status."""
        ...

    async def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to what runs."""
        ...


async def reason_unknown() -> str | None:
    """No reason why a command was killed."""
    return None


class Execution:
    """A command that is queued or runs, and its growing output."""

    stdin: PipeWriter | None = None

    def __init__(
        self,
        record: ExecutionRecord,
        log: OutputLog,
        runner: Runner,
        why_killed: Callable[[], Awaitable[str | None]] = reason_unknown,
    ) -> None:
        """`why_killed` answers with the limit that was exceeded, if that is why a program was killed."""
        self.record = record
        self.log = log
        self._changed = ChangeNotifier()
        self._runner = runner
        self._why_killed = why_killed
        self._kill: asyncio.Task[None] | None = None

    async def run(self, finished: Callable[[ExecutionRecord], Awaitable[None]]) -> None:
        """Run the command to its end and keep the outcome by `finished`, before anyone hears of it."""
        code = CANNOT_START
        try:
            code = await self._outcome()
            if code == KILLED and (reason := await self._why_killed()) is not None:
                self.output("stderr", f"{reason}\n".encode())  # where a shell says that a program was killed
            await finished(self._ended(code))
        except DiskFullError as error:
            self.note(str(error))
        finally:
            # Whatever went wrong, nobody waits for it for ever.
            self._complete(self._ended(code))

    async def _outcome(self) -> int:
        try:
            return await self._runner.run(self)
        # The devbox was stopped under it, which kills all there is: as good as a SIGKILL of its own.
        except SandboxEnded:
            return KILLED
        except (SandboxError, OSError) as error:
            self.note(f"The command could not be started: {of_machine(error) or error}")
            return CANNOT_START

    def _ended(self, code: int) -> ExecutionRecord:
        return self.record.ended(self.log, now_ms(self.record.start_time_ms), code)

    def started(self) -> None:
        """Note that it runs, as its turn has come."""
        self.record = replace(self.record, status="running")
        self._changed.notify()

    def note(self, failure: str) -> None:
        """Remember why the service ended it, or could not run it."""
        if self.record.failure is None:
            self.record = replace(self.record, failure=failure)

    def output(self, stream: Stream, data: bytes) -> None:
        """Append to its output; if the disk refuses, the command is killed, and the service goes on."""
        if self.record.failure is not None or self.log.finished:
            return
        try:
            self.log.append(stream, data)
        except OSError as error:
            self.note(f"The command was killed: its output cannot be kept ({error.strerror}).")
            # In a task that is held: this is called by the loop, as a pipe became readable, and cannot wait.
            self._kill = asyncio.ensure_future(self.signal(signal.SIGKILL, group=True))

    async def signal(self, number: int, *, group: bool) -> None:
        """Send a signal; nothing happens once it has completed."""
        if self.record.status != "completed":
            await self._runner.signal(number, group=group)

    async def send(self, data: bytes) -> bool:
        """Write to its standard input; False when it no longer reads."""
        stdin = await self._input()
        try:
            await stdin.write(data)
        except BrokenPipeError:
            return False
        return True

    async def end_input(self) -> None:
        """Close its standard input."""
        await (await self._input()).finish()

    async def wait(self, statuses: frozenset[str], timeout: float) -> bool:
        """True once its status is one of `statuses`, False after `timeout` seconds."""
        return await wait_until(self._changed, lambda: self.record.status in statuses, timeout)

    async def completed(self) -> None:
        """Wait for its end, however long it takes."""
        await wait_until(self._changed, lambda: self.record.status == "completed")

    async def _input(self) -> PipeWriter:
        # Input may come before the command has had its turn to start: it is for that command all the same.
        await wait_until(self._changed, lambda: self.record.status != "queued")
        if self.stdin is None:
            raise InvalidError(f"Execution {self.record.id} has no standard input: start it with attach_stdin.")
        return self.stdin

    def _complete(self, record: ExecutionRecord) -> None:
        self.record = record
        if self.stdin is not None:
            self.stdin.close()
        self.log.finish()
        self._changed.notify()


class Ended:
    """The runner of a command that has ended before: nothing is left to run or to signal."""

    async def run(self, execution: Execution) -> int:
        """The exit status with which it ended."""
        return execution.record.exit_status or 0

    async def signal(self, number: int, *, group: bool) -> None:
        """Do nothing."""


class ProcessRunner:
    """Runs one command as one process."""

    def __init__(
        self, sandbox: Sandbox, command: Command, starts: asyncio.Semaphore, flow: Flow, *, stdin: bool = False
    ) -> None:
        """`starts` are for all that are to start at the same time; until it has one, it is queued."""
        self._sandbox = sandbox
        self._command = command
        self._starts = starts
        self._flow = flow
        self._stdin = stdin
        self._process: Process | None = None
        self._pending_signal: tuple[int, bool] | None = None

    async def run(self, execution: Execution) -> int:
        """Start the process, follow its output, return its exit status."""
        async with self._starts:
            # A kill that came while it was queued: what was never started has no process to kill.
            if self._pending_signal is not None:
                return 128 + self._pending_signal[0]
            process, readers = await self._start(execution)
        self._process = process
        execution.started()
        try:
            if self._pending_signal is not None:  # it came while the process was being started
                await process.signal(self._pending_signal[0], group=self._pending_signal[1])
            code = await process.wait()
            await settle(readers)
        except BaseException:
            for reader in readers:
                reader.close()
            raise
        return code

    async def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the process, as soon as there is one."""
        if self._process is None:
            self._pending_signal = (number, group)
        else:
            await self._process.signal(number, group=group)

    async def _start(self, execution: Execution) -> tuple[Process, list[PipeReader]]:
        output, error, source = open_each(open_pipe, open_pipe, self._input_pipe)
        try:
            process = await self._sandbox.spawn(self._command, stdin=source[0], stdout=output[1], stderr=error[1])
        except BaseException:
            close_all(output[0], error[0], source[1])
            raise
        finally:
            # The process has its own copies. Were one of ours open still, the pipes would never end.
            close_all(source[0], output[1], error[1])
        if source[1] >= 0:
            execution.stdin = PipeWriter(source[1])
        return process, [
            PipeReader(output[0], lambda data: execution.output("stdout", data), self._flow),
            PipeReader(error[0], lambda data: execution.output("stderr", data), self._flow),
        ]

    def _input_pipe(self) -> tuple[int, int]:
        return open_small_pipe() if self._stdin else open_nothing()


async def settle(readers: list[PipeReader]) -> None:
    """Wait until all that an ended process printed has been read."""
    if all(reader.ended.done() for reader in readers):
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GRACE_S
    while loop.time() < deadline:
        before = [reader.reads for reader in readers]
        await asyncio.wait([reader.ended for reader in readers], timeout=SILENCE_S)
        if all(reader.ended.done() for reader in readers):
            return
        # Silence: what is left belongs to a child that lives on.
        if before == [reader.reads for reader in readers]:
            break
    for reader in readers:
        reader.drain()
