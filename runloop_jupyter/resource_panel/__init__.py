"""The resource panel. `runloop_jupyter.panel()` opens it: this package has a name of its own beside that function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import loop

if TYPE_CHECKING:
    from ..session import Session
    from .panel import Panel

__all__ = ["connected_panel", "open_panel"]


def open_panel(session: Session) -> Panel:
    """A panel on what `session` is connected to. Raises the magics' errors, such as `RemoteError`."""
    return loop.run(session.guard(connected_panel(session)))


async def connected_panel(session: Session) -> Panel:
    """The same, awaited on the notebook's loop."""
    from .panel import Panel

    await session.sdk()
    return Panel(session)
