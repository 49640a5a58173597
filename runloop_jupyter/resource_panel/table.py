"""The rows of one kind as last seen, and what changed: decides only, asks nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..resources.kind import Row


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that are new or different, and the ids of those that are gone."""

    rows: tuple[Row, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(slots=True)
class Table:
    """All rows, by id. Times are on the monotonic clock, in seconds.

    An answer tells how things were when it was asked for: what was `put` since then is newer, and stays.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    complete: bool = False
    """True once all pages were seen."""
    _seen: dict[str, float] = field(default_factory=dict)

    def put(self, row: Row, now: float) -> Change | None:
        """This is how one resource is now."""
        return self._change([row], (), now)

    def drop(self, identity: str) -> Change | None:
        """This resource is gone."""
        return self._change([], [identity] if identity in self.rows else [], 0)

    def take(self, rows: Iterable[Row], asked_at: float) -> Change | None:
        """A part of the list, asked for at that time."""
        return self._change([row for row in rows if self._seen.get(row[0], 0.0) <= asked_at], (), asked_at)

    def finish(self, began_at: float) -> Change | None:
        """The whole list has been seen in parts since then: what was in none of them is gone."""
        self.complete = True
        return self._change([], [identity for identity in self.rows if self._seen[identity] < began_at], 0)

    def clear(self) -> None:
        """Forget all."""
        self.rows.clear()
        self._seen.clear()
        self.complete = False

    def _change(self, rows: Iterable[Row], gone: Iterable[str], seen_at: float) -> Change | None:
        changed = []
        for row in rows:
            self._seen[row[0]] = seen_at
            if self.rows.get(row[0]) != row:
                self.rows[row[0]] = row
                changed.append(row)
        lost = tuple(gone)
        for identity in lost:
            del self.rows[identity], self._seen[identity]
        if not changed and not lost:
            return None
        return Change(tuple(changed), lost)
