"""The parts of a notebook that the running of a command needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..client import Client
    from ..resources.devboxes import DevboxInfo
    from ..settings import Settings
    from .execution_history import ExecutionHistory


class RunContext(Protocol):
    """The parts of a notebook's session that runs use: `Session` is one."""

    client: Client
    execution_history: ExecutionHistory
    executions: list[Any]
    """Commands in the background."""

    @property
    def settings(self) -> Settings:
        """The user's settings, as they are now."""

    def check(self, devbox: DevboxInfo) -> None:
        """Raise `DevboxUnavailableError` if the devbox, which was just looked at, cannot run commands."""
