"""The tables of one session, with all that is known beside them; tells the panels of what changes. Asks nobody."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from ..resources.kind import Row
from ..resources.kinds import KINDS
from ..widgets.protocol.panel import Health
from .table import Change, Table

_TOLERANCE = 2.0  # seconds: answers say the time to a second, and were on their way for a moment
_LOADING: Health = {"loading": True, "error": "", "retry": None}


class Listener(Protocol):
    """Whoever is told of changes."""

    def changed(self, kind: str, change: Change) -> None:
        """Rows changed."""

    def replaced(self, kind: str) -> None:
        """All rows are different ones."""

    def health_changed(self, kind: str, health: Health) -> None:
        """Looking at a kind goes better or worse."""

    def kinds_changed(self, kinds: tuple[str, ...]) -> None:
        """These kinds have a tab now."""

    def current_changed(self, devbox_id: str) -> None:
        """The notebook's current devbox is another one; empty for none."""

    def clock_changed(self) -> None:
        """The service's clock shows another time than was believed."""


class Tables:
    """A table for each kind, how looking at it goes, the service's clock, and the notebook's current devbox."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.health = dict.fromkeys(KINDS, _LOADING)
        self.current = ""
        self.ahead = 0.0
        """Seconds by which the service's clock is ahead."""
        self.changed_at = time.monotonic()
        self._tables = {name: Table() for name in KINDS}
        self._served: dict[str, bool] = {name: True for name, kind in KINDS.items() if not kind.optional}

    def __getitem__(self, kind: str) -> Table:
        return self._tables[kind]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have a tab."""
        return tuple(name for name in KINDS if self._served.get(name, False))

    @property
    def servable(self) -> tuple[str, ...]:
        """All kinds but those that the service is known not to have."""
        return tuple(name for name in KINDS if self._served.get(name, True))

    def row(self, kind: str, identity: str) -> Row | None:
        """Return a row as last seen."""
        return self._tables[kind].rows.get(identity)

    def now_ms(self) -> int:
        """Return the time of the service's clock (ms since 1970): all times that it sends are of that clock."""
        return round((time.time() + self.ahead) * 1000)

    def put(self, kind: str, row: Row) -> None:
        """Insert or replace a row."""
        self._tell(kind, self._tables[kind].put(row, time.monotonic()))

    def drop(self, kind: str, identity: str) -> None:
        """Remove a row."""
        self._tell(kind, self._tables[kind].drop(identity))

    def take(self, kind: str, rows: Iterable[Row], asked_at: float) -> None:
        """Take a part of a list, asked for at that time (monotonic seconds)."""
        self._tell(kind, self._tables[kind].take(rows, asked_at))

    def finish(self, kind: str, began_at: float) -> None:
        """The whole list has been seen in parts since then."""
        self._tell(kind, self._tables[kind].finish(began_at))

    def clear(self, kind: str) -> None:
        """Forget a table, which was another service's."""
        self._tables[kind].clear()
        self.set_health(kind, _LOADING)
        for listener in tuple(self.listeners):
            listener.replaced(kind)

    def set_incomplete(self, kind: str) -> None:
        """Not all of a list has been seen of late."""
        self._tables[kind].complete = False
        self.set_health(kind, _LOADING)

    def set_health(self, kind: str, health: Health) -> None:
        """Looking at a kind goes so."""
        if health == self.health[kind]:
            return
        self.health[kind] = health
        for listener in tuple(self.listeners):
            listener.health_changed(kind, health)

    def set_served(self, kind: str, served: bool) -> None:
        """A kind that not every service has gets its tab once it was seen, and loses it where it is not served."""
        before = self.kinds
        self._served[kind] = served
        if self.kinds == before:
            return
        for listener in tuple(self.listeners):
            listener.kinds_changed(self.kinds)

    def set_clock(self, ahead: float) -> None:
        """The service's clock is so many seconds ahead."""
        if abs(ahead - self.ahead) <= _TOLERANCE:
            return
        self.ahead = ahead
        for listener in tuple(self.listeners):
            listener.clock_changed()

    def set_current(self, devbox_id: str) -> None:
        """This is the notebook's current devbox."""
        if devbox_id == self.current:
            return
        self.current = devbox_id
        for listener in tuple(self.listeners):
            listener.current_changed(devbox_id)

    def _tell(self, kind: str, change: Change | None) -> None:
        if change is None:
            return
        self.changed_at = time.monotonic()
        for listener in tuple(self.listeners):
            listener.changed(kind, change)
