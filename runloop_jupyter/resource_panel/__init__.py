"""The resource panel. `runloop_jupyter.panel()` opens it: this package has a name of its own beside that function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel import loop
from ..kernel.prompts import in_marimo, is_live

if TYPE_CHECKING:
    from ..rendering import Listing
    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from .panel import Panel

_FIRST_LOOK = 1.5  # seconds that the cell waits for devboxes to show where there are no widgets

__all__ = ["connected_panel", "open_panel"]


def open_panel(session: Session) -> Panel | Listing[DevboxInfo]:
    """A panel on what `session` is connected to. Raises the magics' errors, such as `RemoteError`."""
    if in_marimo():
        from .marimo_panel import MarimoPanel

        loop.run(session.client.guard(session.client.sdk()))
        return MarimoPanel(session)
    return loop.run(session.client.guard(connected_panel(session)))


async def connected_panel(session: Session) -> Panel | Listing[DevboxInfo]:
    """The same, awaited on the notebook's loop. Where nobody watches it is a table: widgets would only be saved."""
    from ..resources.kinds.devbox import DEVBOX
    from .feed import feed_of
    from .panel import NEWEST, Panel, static_panel

    await session.client.sdk()
    made = Panel(session) if is_live() else None
    feed = feed_of(session)
    await feed.try_to_look_at_newest(DEVBOX.name, NEWEST, within=_FIRST_LOOK)
    return made or static_panel(feed.tables)
