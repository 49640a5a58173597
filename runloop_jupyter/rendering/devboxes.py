"""Renders devboxes, and the notebook's connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..connection import Connection
from ..resources.devboxes import DevboxInfo
from ..text.durations import spell_duration
from . import page
from .card import Details
from .history import timeline
from .states import state_text
from .table import Columns, Listing
from .text import aligned, clock, pairs

if TYPE_CHECKING:
    from pandas import DataFrame

_COLUMNS: Columns[DevboxInfo] = {
    "name": lambda box: box.name,
    "id": lambda box: box.id,
    "status": lambda box: state_text(box.status, box.reason),
    "created": lambda box: _age(box),
    "owner": lambda box: box.owner,
    "ends": lambda box: f"ended {box.ends}" if box.ends and not box.alive else box.ends,
}


def _age(box: DevboxInfo) -> str:
    return f"{spell_duration(box.age)} ago" if box.alive else f"lived {spell_duration(box.age)}"


def devbox_listing(
    devboxes: Iterable[DevboxInfo],
    *,
    current: str | None = None,
    note: str = "",
    none: str = "No devboxes. Create one: %devbox create",
) -> Listing[DevboxInfo]:
    """The table of devboxes. The one with the id `current` is marked; an empty table shows the text `none`."""
    return Listing(devboxes, _COLUMNS, current=current, note=note, none=none)


def devbox_details(box: DevboxInfo, used: str = "") -> Details[DevboxInfo]:
    """The card of a devbox, with the history of its states and, in `used`, the resources that it used."""
    steps = " → ".join(f"{status} {clock(at)}" for status, at in box.history)
    rows = (
        ("name", box.name),
        ("id", box.id),
        ("status", state_text(box.status, box.reason)),
        ("why", box.why),
        ("created", _age(box)),
        ("owner", box.owner),
        ("ends" if box.alive else "ended", box.ends),
        ("from", box.source),
        ("size", box.size.lower()),
        ("keep-alive", spell_duration(box.keep_alive) if box.keep_alive else ""),
        ("used", used),
        ("metadata", pairs(dict(box.metadata))),
        ("history", steps),
    )
    return Details(box, rows, timeline(box.history, box.ended_ms))  # empty rows are not shown


@dataclass(frozen=True, slots=True, repr=False)
class Overview:
    """The overview of `%runloop`: the connection, this notebook's devboxes, and the commands to type."""

    connection: tuple[str, ...]
    devboxes: Listing[DevboxInfo]
    lines: tuple[tuple[str, str], ...]

    def to_dataframe(self) -> DataFrame:
        """The devboxes as a pandas DataFrame. Raises `UsageError` without pandas."""
        return self.devboxes.to_dataframe()

    def __repr__(self) -> str:
        return "\n".join([*self.connection, "", repr(self.devboxes), "", aligned(self.lines)])

    def _repr_html_(self) -> str:
        connection = "".join(map(page.paragraph, self.connection))
        lines = page.fields((line, page.cell(page.escaped(text), "runloop-long")) for line, text in self.lines)
        return page.page(f"{connection}{self.devboxes.to_html()}<p></p>{lines}")


@dataclass(frozen=True, slots=True, repr=False)
class Connected:
    """The service that the notebook is connected to."""

    connection: Connection

    @property
    def base_url(self) -> str:
        """The base URL of its API."""
        return self.connection.base_url

    def __repr__(self) -> str:
        return "\n".join(connection_lines(self.connection))


def connection_lines(connection: Connection) -> tuple[str, ...]:
    """The lines that describe a connection."""
    if not connection.embedded:
        return (f"Connected to {connection.label}.",)
    first = f"Connected to {connection.label}, {connection.base_url} (isolation: {connection.isolation})."
    return (first, *connection.warnings)
