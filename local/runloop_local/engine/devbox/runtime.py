"""A started devbox, until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..ids import new_id
from .execution_manager import ExecutionRequest

if TYPE_CHECKING:
    from ...sandbox.base import Sandbox
    from .execution import Source
    from .execution_manager import ExecutionManager
    from .limits import LimitMonitor
    from .pty import Terminals


class Runtime(msgspec.Struct, frozen=True):
    """A started sandbox with all that runs in it. Each start of a devbox makes a new one."""

    sandbox: Sandbox
    execution_manager: ExecutionManager
    terminals: Terminals
    limit_monitor: LimitMonitor

    @property
    def busy(self) -> bool:
        """True while a command runs or somebody is attached to a terminal."""
        return self.execution_manager.busy or self.terminals.busy

    async def run(self, command: str, source: Source) -> int:
        """Run a command that the devbox itself asks for to its end; the exit status."""
        return await self.execution_manager.run(ExecutionRequest(command, new_id("exec"), source=source))

    async def stop(self) -> None:
        """End all of it. The disk stays."""
        self.limit_monitor.end()
        self.terminals.end()
        await self.sandbox.stop()
        # Last: the commands end because the sandbox has stopped, and are awaited until their ends are stored.
        await self.execution_manager.end()
