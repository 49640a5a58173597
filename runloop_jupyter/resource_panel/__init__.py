"""The resource panel. `runloop_jupyter.panel()` opens it: this package has a name of its own beside that function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import loop

if TYPE_CHECKING:
    from ..session import Session
    from .panel import Panel

_FIRST_LOOK = 1.5  # seconds that the cell waits for devboxes to show where there are no widgets

__all__ = ["connected_panel", "open_panel"]


def open_panel(session: Session) -> Panel:
    """A panel on what `session` is connected to. Raises the magics' errors, such as `RemoteError`."""
    return loop.run(session.guard(connected_panel(session)))


async def connected_panel(session: Session) -> Panel:
    """The same, awaited on the notebook's loop."""
    from .panel import Panel

    await session.sdk()
    made = Panel(session)
    await session.feed.try_to_look(["devbox"], within=_FIRST_LOOK)
    return made
