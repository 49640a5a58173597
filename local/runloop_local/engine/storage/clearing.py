"""Work that a start leaves for later: what has ended is cleared away while the service already answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...sandbox.base import SandboxError
from ..errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from .notes import Notes


class Clearing:
    """One such work in the background. What cannot be cleared away is named, and the rest goes on."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._task: asyncio.Task[None] | None = None

    def begin(self, what: str, work: Coroutine[None, None, None]) -> None:
        """Do it from now on."""
        self._task = asyncio.create_task(self.attempt(what, work))

    async def attempt(self, what: str, work: Awaitable[object]) -> None:
        """Do a part of it."""
        try:
            await work
        except (EngineError, SandboxError, OSError, RuntimeError) as error:
            self._notes.add(f"{what} cannot be cleared away: {error}", "clearing", what)

    async def aclose(self) -> None:
        """Leave the rest to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
