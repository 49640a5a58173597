"""One row for each devbox of a fan-out: its state, its last line, how it ended. Live while the commands run."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..durations import spell_duration
from ..rendering import aligned, printable

if TYPE_CHECKING:
    from ..results import DevboxResult

State = Literal["starting", "running", "done", "failed"]

_SIGNS: dict[State, str] = {"starting": "◌", "running": "●", "done": "✓", "failed": "✗"}
_COLOURS: dict[State, str] = {
    "starting": "var(--jp-ui-font-color2, #757575)",
    "running": "var(--jp-info-color1, #1565c0)",
    "done": "var(--jp-success-color1, #2e7d32)",
    "failed": "var(--jp-error-color1, #c62828)",
}
_ORDER: tuple[State, ...] = ("failed", "running", "starting", "done")
_MOST_ROWS = 100
_LONGEST = 160  # characters of a last line
_HEAD = ("devbox", "state", "time", "last line")
_STYLE = """<style>
.runloop-grid {max-height: 30em; overflow: auto; font-family: var(--jp-ui-font-family, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); color: var(--jp-ui-font-color1, inherit)}
.runloop-grid table {border-collapse: collapse; margin: 0; font-size: inherit}
.runloop-grid th, .runloop-grid td {text-align: left; padding: 2px 12px 2px 4px; white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color2, #8884)}
.runloop-grid th {color: var(--jp-ui-font-color2, inherit); font-weight: 600; position: sticky; top: 0;
  background: var(--jp-layout-color0, inherit)}
.runloop-grid code {font-family: var(--jp-code-font-family, monospace); font-size: 0.95em}
.runloop-grid p {margin: 4px}
</style>"""


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of one devbox; `seconds` since its command was started."""

    devbox: str
    state: State
    text: str
    seconds: float
    last_line: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row as text."""
        return self.devbox, f"{_SIGNS[self.state]} {self.text}", spell_duration(self.seconds), self.last_line[:_LONGEST]


def row_of(name: str, result: DevboxResult) -> Row:
    """The row of a command that is over."""
    if result.exit_code is None:
        return Row(name, "failed", "no exit code", result.duration, result.error)
    state: State = "done" if result.success else "failed"
    return Row(name, state, f"exit code {result.exit_code}", result.duration, result.last_line)


def summary(rows: Sequence[Row]) -> str:
    """How many are in which state, in words: "12 done, 1 failed, 7 running"."""
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
    head = "".join(f"<th>{title}</th>" for title in _HEAD)
    body = "".join(map(_row_html, shown))
    notes = "".join(f"<p>{html.escape(printable(text))}</p>" for text in (left_out, note) if text)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'{_STYLE}<div class="runloop-grid">{table}{notes}</div>'


def _shown(rows: Iterable[Row]) -> tuple[list[Row], str]:
    """All rows in their order while they are few; of many those that matter most."""
    rows = list(rows)
    if len(rows) <= _MOST_ROWS:
        return rows, ""
    first = sorted(rows, key=lambda row: _ORDER.index(row.state))[:_MOST_ROWS]
    return first, f"… and {len(rows) - _MOST_ROWS:,} more"


def _row_html(row: Row) -> str:
    devbox, state, time, last = (html.escape(printable(cell)) for cell in row.cells)
    coloured = f'<td style="color: {_COLOURS[row.state]}">{state}</td>'
    return f"<tr><td>{devbox}</td>{coloured}<td>{time}</td><td><code>{last}</code></td></tr>"
