"""The processes of a devbox: executions, named shells and terminals, and the programs that read and write its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import StoppingError
from . import lifecycle
from .files import Files

if TYPE_CHECKING:
    import socket

    from ..fair_queue import Flow
    from .execution import Execution
    from .execution_manager import ExecutionManager, ExecutionRequest
    from .expiry_timer import ExpiryTimer
    from .pty import Terminals
    from .runtime import Runtime
    from .state import DevboxState


class Processes:
    """The processes of one devbox, which come and go with each start and stop."""

    def __init__(self, state: DevboxState, timer: ExpiryTimer, flow: Flow) -> None:
        self.flow = flow
        """The devbox's turns to move data."""
        self._state = state
        self._timer = timer
        self._runtime: Runtime | None = None
        self._latest: ExecutionManager | None = None
        """That of the last runtime, still there while it ends."""

    def begin(self, runtime: Runtime) -> None:
        """Use this runtime, which has just been started."""
        self._runtime = runtime
        # Commands that end with the devbox are still asked for their last output, when there is no runtime any more.
        self._latest = runtime.execution_manager
        runtime.limit_monitor.notice()

    def is_current(self, runtime: Runtime) -> bool:
        """Return True if this runtime is the one in use."""
        return runtime is self._runtime

    def is_busy(self) -> bool:
        """Return True while a command runs or somebody is attached to a terminal."""
        return self._runtime is not None and self._runtime.busy

    def require(self, action: str) -> Runtime:
        """The runtime; raises `InvalidError` unless the devbox is running, which `action` needs."""
        lifecycle.require(self._state.record, "running", action)
        if self._runtime is None:  # the service has ended it as it stops, which is no move
            raise StoppingError(f"Devbox {self._state.record.id} is being suspended, as the service stops.")
        return self._runtime

    def touch(self) -> None:
        """Start the time anew after which the devbox ends by itself, as somebody uses it."""
        if self._runtime is not None:
            self._runtime.limit_monitor.notice()
        self._timer.restart()

    async def execute(self, request: ExecutionRequest) -> Execution:
        """Start a command; the id of one that runs is that one. Raises `RanBeforeError` for that of an older one."""
        return await self._used("run a command").execution_manager.start(request)

    def forbid(self, execution_id: str) -> None:
        """Start no command with this id: its kill has come first."""
        if self._runtime is not None:
            self._runtime.execution_manager.forbid(execution_id)

    def execution(self, execution_id: str) -> Execution | None:
        """A queued or running execution."""
        return None if self._latest is None else self._latest.get(execution_id)

    def terminals(self) -> Terminals:
        """The terminal sessions."""
        return self._used("use its terminals").terminals

    def files(self) -> Files:
        """The file operations."""
        return Files(self._used("use its files").sandbox, self._state.record.user, self.flow)

    async def dial(self, port: int) -> socket.socket:
        """A non-blocking connection to a port of the devbox; raises `SandboxError` if nothing listens."""
        return await self.require("connect to it").sandbox.dial(port)

    def end_monitoring(self) -> None:
        """Let no limit end the devbox any more."""
        if self._runtime is not None:
            self._runtime.limit_monitor.end()

    async def stop(self) -> None:
        """End all processes."""
        # Taken first, so that nothing new starts in what is being stopped, and a second stop has nothing to do.
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await runtime.stop()

    def _used(self, action: str) -> Runtime:
        runtime = self.require(action)
        # Before the work: an idle time that is over just now must not end what has been asked for.
        self._timer.used()
        runtime.limit_monitor.notice()
        return runtime
