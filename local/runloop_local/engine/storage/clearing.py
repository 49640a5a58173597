"""Cleans up the leftovers of earlier runs in the background, while the service already answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...sandbox.base import SandboxError
from ..errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from .notes import Notes


class Clearing:
    """A cleanup task in the background. Failures are noted, and do not stop the rest."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._task: asyncio.Task[None] | None = None

    def begin(self, what: str, work: Coroutine[None, None, None]) -> None:
        """Start it."""
        self._task = asyncio.create_task(self.attempt(what, work))

    async def attempt(self, what: str, work: Awaitable[object]) -> None:
        """Await a part of the cleanup; a failure is noted."""
        try:
            await work
        except (EngineError, SandboxError, OSError, RuntimeError) as error:
            self._notes.add(f"{what} cannot be cleared away: {error}", "clearing", what)

    async def aclose(self) -> None:
        """Cancel it; the next start does the rest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
