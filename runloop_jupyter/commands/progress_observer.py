"""Shows in the cell how far an operation is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ..operations.observer import Observer
from ..output.progress import polling
from ..text.progress import Progress

if TYPE_CHECKING:
    from pydantic import BaseModel


class ProgressObserver(Observer):
    """Shows a devbox's state on the line of `progress`, also while it is waited for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def changed(self, view: BaseModel) -> None:
        """Show the devbox's state."""
        self._progress.step = str(getattr(view, "status", ""))

    def waiting(self, status: Callable[[], Awaitable[str]]) -> AbstractAsyncContextManager[None]:
        """Return a context in which the state is asked for every second."""
        return polling(self._progress, status)
