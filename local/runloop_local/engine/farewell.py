"""The moment at which the service begins to stop, for those who would wait on."""

from __future__ import annotations

from .bell import Bell


class Farewell:
    """Is said once."""

    def __init__(self) -> None:
        self.said = False
        self._bell = Bell()

    def say(self) -> None:
        """Whoever waits goes."""
        self.said = True
        self._bell.ring()

    async def wait(self) -> None:
        """Until it has been said."""
        if not self.said:
            await self._bell.wait()
