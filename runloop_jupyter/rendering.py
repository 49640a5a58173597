"""Devboxes as plain text and as HTML. Every string from the wire is escaped; colours are JupyterLab's own."""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .connection import Connection
from .devboxes import DevboxInfo
from .durations import spell_duration

_SIGNS = {"running": "●", "suspended": "◐", "failure": "✗", "shutdown": "○"}
_CHANGING = "◌"
_COLOURS = {
    "running": "var(--jp-success-color1, #2e7d32)",
    "suspended": "var(--jp-warn-color1, #b26a00)",
    "failure": "var(--jp-error-color1, #c62828)",
    "shutdown": "var(--jp-ui-font-color2, #757575)",
}
_STYLE = """<style>
.runloop-view {color: var(--jp-ui-font-color1, inherit); font-family: var(--jp-ui-font-family, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); max-height: 32em; overflow: auto}
.runloop-view table {border-collapse: collapse; margin: 0; font-size: inherit}
.runloop-view table th, .runloop-view table td {text-align: left; padding: 3px 12px 3px 4px; white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color2, #8884)}
.runloop-view th {font-weight: 600; color: var(--jp-ui-font-color2, inherit); position: sticky; top: 0;
  background: var(--jp-layout-color0, inherit)}
.runloop-view td.runloop-wide {white-space: normal; overflow-wrap: anywhere}
.runloop-view code {font-family: var(--jp-code-font-family, monospace)}
.runloop-view p {margin: 4px}
.runloop-view .runloop-current {font-weight: 600}
</style>"""


def printable(text: str) -> str:
    """`text` without control characters: a name from the wire must not move a terminal's cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _page(body: str) -> str:
    return f'{_STYLE}<div class="runloop-view">{body}</div>'


def _cell(text: str, kind: str = "td", css: str = "") -> str:
    style = f' class="{css}"' if css else ""
    return f"<{kind}{style}>{html.escape(printable(text))}</{kind}>"


def _status_text(devbox: DevboxInfo) -> str:
    because = f" ({devbox.reason})" if devbox.reason else ""
    return f"{_SIGNS.get(devbox.status, _CHANGING)} {devbox.status}{because}"


def _status_html(devbox: DevboxInfo) -> str:
    colour = _COLOURS.get(devbox.status, "var(--jp-info-color1, #1565c0)")
    return f'<td style="color: {colour}">{html.escape(printable(_status_text(devbox)))}</td>'


def _age(devbox: DevboxInfo) -> str:
    return f"{spell_duration(devbox.age)} ago" if devbox.alive else f"lived {spell_duration(devbox.age)}"


def aligned(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows of text as columns."""
    table = [[printable(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


class DevboxTable(Sequence[DevboxInfo]):
    """Devboxes, newest first: a sequence that shows as a table with the current one marked."""

    def __init__(self, devboxes: Iterable[DevboxInfo], *, current: str | None = None, note: str = "") -> None:
        self._devboxes = tuple(devboxes)
        self._current = current
        self._note = note

    def __len__(self) -> int:
        return len(self._devboxes)

    def __getitem__(self, index: int) -> DevboxInfo:  # type: ignore[override]  # one at a time; slices are not needed
        return self._devboxes[index]

    def __iter__(self) -> Iterator[DevboxInfo]:
        return iter(self._devboxes)

    def _mark(self, devbox: DevboxInfo) -> str:
        return "→" if devbox.id == self._current else ""

    def __repr__(self) -> str:
        if not self._devboxes:
            return self._note or "No devboxes. Create one: %devbox create"
        rows = [(self._mark(each), each.name, each.id, _status_text(each), _age(each)) for each in self]
        table = aligned(rows, ("", "name", "id", "status", "created"))
        return f"{table}\n{self._note}" if self._note else table

    def _html_row(self, devbox: DevboxInfo) -> str:
        css = ' class="runloop-current"' if devbox.id == self._current else ""
        name, code = _cell(f"{self._mark(devbox)} {devbox.name}"), f"<td><code>{html.escape(devbox.id)}</code></td>"
        return f"<tr{css}>{name}{code}{_status_html(devbox)}{_cell(_age(devbox))}</tr>"

    def to_html(self) -> str:
        """The table alone, for a page that has more."""
        if not self._devboxes:
            return f"<p>{html.escape(repr(self))}</p>"
        head = "".join(_cell(title, "th") for title in ("name", "id", "status", "created"))
        rows = "".join(map(self._html_row, self))
        note = f"<p>{html.escape(self._note)}</p>" if self._note else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"

    def _repr_html_(self) -> str:
        return _page(self.to_html())


@dataclass(frozen=True, slots=True, repr=False)
class DevboxCard:
    """One devbox in detail."""

    devbox: DevboxInfo
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The devbox's id."""
        return self.devbox.id

    @property
    def name(self) -> str:
        """The devbox's name; empty when it has none."""
        return self.devbox.name

    @property
    def status(self) -> str:
        """Its state when it was looked at."""
        return self.devbox.status

    def _rows(self) -> list[tuple[str, str]]:
        box = self.devbox
        metadata = ", ".join(f"{key}={value}" for key, value in box.metadata)
        keep_alive = spell_duration(box.keep_alive) if box.keep_alive else ""
        steps = " → ".join(f"{status} {_clock(at)}" for status, at in box.history)
        rows = [("name", box.name), ("id", box.id), ("status", _status_text(box)), ("created", _age(box))]
        rows += [("from", box.source), ("size", box.size.lower()), ("keep-alive", keep_alive)]
        rows += [("metadata", metadata), ("history", steps), ("note", " ".join(self.notes))]
        return [(key, value) for key, value in rows if value]

    def __repr__(self) -> str:
        return aligned(self._rows())

    def _repr_html_(self) -> str:
        rows = (f"<tr>{_cell(key, 'th')}{_cell(value, css='runloop-wide')}</tr>" for key, value in self._rows())
        return _page(f"<table>{''.join(rows)}</table>")


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What a subcommand did to a devbox: shows as one line."""

    text: str
    devbox: DevboxInfo

    @property
    def id(self) -> str:
        """The devbox's id."""
        return self.devbox.id

    @property
    def name(self) -> str:
        """The devbox's name; empty when it has none."""
        return self.devbox.name

    def __repr__(self) -> str:
        return printable(self.text)


@dataclass(frozen=True, slots=True, repr=False)
class Overview:
    """What `%runloop` shows: the connection, this notebook's devboxes, and what can be typed."""

    connection: tuple[str, ...]
    devboxes: DevboxTable
    lines: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return "\n".join([*self.connection, "", repr(self.devboxes), "", aligned(self.lines)])

    def _repr_html_(self) -> str:
        connection = "".join(f"<p>{html.escape(line)}</p>" for line in self.connection)
        lines = "".join(f"<tr><td><code>{html.escape(line)}</code></td>{_cell(text)}</tr>" for line, text in self.lines)
        return _page(f"{connection}{self.devboxes.to_html()}<p></p><table>{lines}</table>")


@dataclass(frozen=True, slots=True, repr=False)
class Connected:
    """Which service the notebook uses now."""

    connection: Connection

    @property
    def base_url(self) -> str:
        """Where its API is."""
        return self.connection.base_url

    def __repr__(self) -> str:
        return "\n".join(connection_lines(self.connection))


def connection_lines(connection: Connection) -> tuple[str, ...]:
    """What to say about a connection."""
    if not connection.embedded:
        return (f"Connected to {connection.label}.",)
    first = f"Connected to {connection.label}, {connection.base_url} (isolation: {connection.isolation})."
    return (first, *connection.warnings)


def _clock(milliseconds: int) -> str:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.UTC).astimezone().strftime("%H:%M:%S")
