"""Everything that runs in one devbox: executions, and the named shells some of them share."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ...sandbox import shells
from ...sandbox.base import Command
from ..errors import InvalidError
from ..ids import now_ms
from .execution import Execution, ExecutionRecord, ProcessRunner, reason_unknown
from .history import KEPT
from .shell import Shell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...sandbox.base import Sandbox, User
    from ..fair_queue import Flow
    from ..storage.store import Store
    from .execution import Runner, Source
    from .history import History

_STARTS_AT_ONCE = 16
"""The limit of commands that start at once; others are queued, so that a thousand do not hold up other requests."""


_FORBIDDEN = 1000


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """A command to run, as it was asked for."""

    command: str
    id: str
    stdin: bool = False
    shell: str | None = None
    source: Source = "exec"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables besides those that all commands have."""


class ExecutionContext(msgspec.Struct, frozen=True):
    """The environment that all commands of a devbox have in common."""

    devbox_id: str
    user: User
    env: Mapping[str, str]
    flow: Flow
    cwd: str | None = None
    """The folder in which commands start; the home directory by default."""


class RanBeforeError(Exception):
    """The id of a command is that of one that has ended before."""


class ExecutionManager:
    """The commands of one started sandbox, until `end`."""

    def __init__(
        self,
        sandbox: Sandbox,
        context: ExecutionContext,
        store: Store,
        history: History,
        why_killed: Callable[[], Awaitable[str | None]] = reason_unknown,
    ) -> None:
        self._sandbox = sandbox
        self._context = context
        self._store = store
        self._history = history
        self._why_killed = why_killed
        self._executions: dict[str, Execution] = {}
        self._recent: dict[str, Execution] = {}
        self._forbidden: dict[str, None] = {}
        self._shells: dict[str, Shell] = {}
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """True while a command runs."""
        return bool(self._executions)

    def get(self, execution_id: str) -> Execution | None:
        """A queued, running or just completed execution."""
        return self._executions.get(execution_id) or self._recent.get(execution_id)

    async def start(self, request: ExecutionRequest) -> Execution:
        """Start a command; the id of one that runs or has just completed is that one.

        Raises `RanBeforeError` if the store knows the id of one that has ended before.
        """
        # A request that is sent again, as its answer was lost, starts nothing: the client chose the id.
        if (known := self.get(request.id)) is not None:
            return known
        if request.id in self._forbidden:
            raise InvalidError(f"Execution {request.id} was killed before its command came: choose a fresh command_id.")
        record = ExecutionRecord(
            request.id, self._context.devbox_id, request.command, request.source, request.shell, start_time_ms=now_ms()
        )
        runner = self._runner(request)  # which may refuse the request: before anything is begun
        execution = Execution(record, self._history.begin(record), runner, self._why_killed)
        # Known before the store is awaited: the same request may come again meanwhile.
        self._executions[request.id] = execution
        is_new = False
        try:
            # In one step with the question if the id is known: each visit to the store is two changes of threads.
            is_new = await self._store.add(record.document())
        finally:
            if not is_new:
                del self._executions[request.id]
                self._history.drop(record)
        if not is_new:
            raise RanBeforeError(f"Execution {request.id} has run already: choose a fresh command_id.")
        # Stored first: a kill of the service finds the record, and its next start tells the command's end.
        self._follow(execution)
        return execution

    def forbid(self, execution_id: str) -> None:
        """Start no command with this id: its kill has come first, as requests overtake each other on their way."""
        self._forbidden[execution_id] = None
        if len(self._forbidden) > _FORBIDDEN:
            del self._forbidden[next(iter(self._forbidden))]

    async def run(self, request: ExecutionRequest) -> int:
        """Run a command to its end; returns its exit status."""
        execution = await self.start(request)
        await execution.completed()
        return execution.record.exit_status or 0

    async def end(self) -> None:
        """Wait until every command has ended; the sandbox must have been stopped."""
        for shell in self._shells.values():
            # Their bash has gone with the sandbox, but the pipes are the service's own.
            shell.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def kill(self) -> None:
        """Kill every command."""
        for execution in list(self._executions.values()):
            await execution.signal(signal.SIGKILL, group=True)

    def _follow(self, execution: Execution) -> None:
        task = asyncio.create_task(self._run(execution))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, execution: Execution) -> None:
        try:
            await execution.run(self._keep)
        finally:
            # Not in both tables at once, and never in none: somebody may ask for it at any moment.
            self._remember(self._executions.pop(execution.record.id))
            self._history.end(execution.record, execution.log)

    def _remember(self, execution: Execution) -> None:
        self._recent[execution.record.id] = execution
        if len(self._recent) > KEPT:  # their output stays, too
            del self._recent[next(iter(self._recent))]

    async def _keep(self, record: ExecutionRecord) -> None:
        await self._store.put(record.document())

    def _runner(self, request: ExecutionRequest) -> Runner:
        if request.shell is not None:
            return self._shell(request, request.shell).runner()
        argv = (shells.LOGIN, "-lc", request.command)
        env = {**self._context.env, **request.env}
        command = Command(argv, self._context.user, self._context.cwd, env)
        return ProcessRunner(self._sandbox, command, self._starts, self._context.flow, stdin=request.stdin)

    def _shell(self, request: ExecutionRequest, name: str) -> Shell:
        if request.stdin:
            raise InvalidError("A command in a named shell cannot have attach_stdin: leave out one of the two.")
        if name not in self._shells:
            argv = (shells.BASH, "-l")
            command = Command(argv, self._context.user, self._context.cwd, self._context.env)
            self._shells[name] = Shell(self._sandbox, command, self._context.flow)
        return self._shells[name]
