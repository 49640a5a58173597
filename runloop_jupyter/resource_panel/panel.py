"""The panel as a whole: the table of resources, and below it the tools that were opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from ..session import Session


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What `%runloop panel` shows."""

    def __init__(self, session: Session, **options: Any) -> None:
        super().__init__(**options)
        self._session = session
