"""One row for each devbox of a fan-out: its state, its last line, how it ended. Live while the commands run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..rendering import aligned, page
from ..rendering.states import css_class
from ..text.durations import spell_duration

State = Literal["starting", "running", "done", "failed"]

_SIGNS: dict[State, str] = {"starting": "◌", "running": "●", "done": "✓", "failed": "✗"}
_ORDER: tuple[State, ...] = ("failed", "running", "starting", "done")
_MOST_ROWS = 100
_LONGEST = 160  # characters of a last line
_HEAD = ("devbox", "state", "time", "last line")


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one devbox; `seconds` since its command was started."""

    devbox: str
    state: State
    text: str
    seconds: float
    last_line: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as text."""
        return self.devbox, f"{_SIGNS[self.state]} {self.text}", spell_duration(self.seconds), self.last_line[:_LONGEST]


def summary(rows: Sequence[Row]) -> str:
    """Count the rows by state, in words: "12 done, 1 failed, 7 running"."""
    counts = [(sum(row.state == state for row in rows), state) for state in ("done", "failed", "running", "starting")]
    return ", ".join(f"{count} {state}" for count, state in counts if count)


def grid_text(rows: Iterable[Row], note: str) -> str:
    """The grid as plain text."""
    shown, left_out = _shown(rows)
    table = aligned([row.cells for row in shown], _HEAD)
    return "\n".join(filter(None, [table, left_out, note]))


def grid_html(rows: Iterable[Row], note: str) -> str:
    """The grid as HTML; everything in it is escaped."""
    shown, left_out = _shown(rows)
    notes = page.paragraph(left_out) + page.paragraph(note)
    return page.page(page.table(_HEAD, map(_row_html, shown)) + notes)


def _shown(rows: Iterable[Row]) -> tuple[list[Row], str]:
    """All rows in their order while they are few; of many those that matter most."""
    rows = list(rows)
    if len(rows) <= _MOST_ROWS:
        return rows, ""
    first = sorted(rows, key=lambda row: _ORDER.index(row.state))[:_MOST_ROWS]
    return first, f"… and {len(rows) - _MOST_ROWS:,} more"


def _row_html(row: Row) -> str:
    devbox, state, time, last = row.cells
    cells = (
        page.cell(page.escaped(devbox), "runloop-long"),
        page.cell(page.escaped(state), css_class(state)),
        page.cell(time),
        page.cell(page.code(last), "runloop-long"),
    )
    return f"<tr>{''.join(cells)}</tr>"
