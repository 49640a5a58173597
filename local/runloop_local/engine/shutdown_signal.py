"""The moment at which the service begins to stop, for those who would wait on."""

from __future__ import annotations

from .change_notifier import ChangeNotifier


class ShutdownSignal:
    """Is set once."""

    def __init__(self) -> None:
        self.is_set = False
        self._changed = ChangeNotifier()

    def set(self) -> None:
        """Wake all who wait."""
        self.is_set = True
        self._changed.notify()

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self.is_set:
            await self._changed.wait()
