"""An event that is set when the service begins to stop."""

from __future__ import annotations

from .change_notifier import ChangeNotifier


class ShutdownSignal:
    """An event that is set once and never cleared."""

    def __init__(self) -> None:
        self.is_set = False
        self._changed = ChangeNotifier()

    def set(self) -> None:
        """Set it and wake all waiting tasks."""
        self.is_set = True
        self._changed.notify()

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self.is_set:
            await self._changed.wait()
