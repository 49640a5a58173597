"""Keeps track of the views of a panel in open pages. Does no I/O."""

from __future__ import annotations

_SILENT = 100.0  # seconds: browsers let the timers of hidden pages run once a minute


class ViewPresence:
    """The views that said they are there, and whether each can be seen. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._views: dict[str, tuple[float, bool]] = {}

    def here(self, view: str, now: float, *, visible: bool) -> None:
        """A view says that it is there."""
        self._views[view] = (now, visible)

    def gone(self, view: str) -> None:
        """A view was closed."""
        self._views.pop(view, None)

    def has(self, view: str) -> bool:
        """Return True if this view is open, as far as is known."""
        return view in self._views

    def present(self, now: float) -> bool:
        """Return True if any view is open: one that was closed without a word counts for a while."""
        self._views = {view: seen for view, seen in self._views.items() if now - seen[0] < _SILENT}
        return bool(self._views)

    def visible(self, now: float) -> bool:
        """Return True if somebody can see it."""
        return self.present(now) and any(visible for _, visible in self._views.values())
