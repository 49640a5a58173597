"""What the verbs of all kinds of resources hand back: a list, one resource, or what was done."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .durations import spell_duration
from .rendering import _cell as cell
from .rendering import _page as page
from .rendering import aligned, printable

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], str]]
"""Titles, and what to show below each."""


class Listing(Sequence[T], Generic[T]):
    """Resources, newest first: a sequence of the API's own views that shows as a table."""

    def __init__(self, items: Iterable[T], columns: Columns[T], *, none: str, note: str = "") -> None:
        self._items = tuple(items)
        self._columns = columns
        self._none = none
        self._note = note

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> T:  # type: ignore[override]  # one at a time; slices are not needed
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def rows(self) -> list[list[str]]:
        """The texts of the table."""
        return [[show(item) for show in self._columns.values()] for item in self._items]

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with a row for each and all the API's fields as columns."""
        import pandas as pd  # type: ignore[import-untyped]  # optional, and so are its stubs

        return pd.DataFrame([_fields(item) for item in self._items])

    def __repr__(self) -> str:
        if not self._items:
            return self._none
        table = aligned(self.rows(), tuple(self._columns))
        return f"{table}\n{self._note}" if self._note else table

    def _repr_html_(self) -> str:
        if not self._items:
            return page(f"<p>{html.escape(self._none)}</p>")
        head = "".join(cell(title, "th") for title in self._columns)
        body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in self.rows())
        note = f"<p>{html.escape(self._note)}</p>" if self._note else ""
        return page(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}")


@dataclass(frozen=True, slots=True, repr=False)
class Details(Generic[T]):
    """One resource in detail; its attributes are those of the API's view."""

    item: T
    rows: tuple[tuple[str, str], ...]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.item, name)

    def __repr__(self) -> str:
        return aligned(row for row in self.rows if row[1])

    def _repr_html_(self) -> str:
        rows = (f"<tr>{cell(key, 'th')}{cell(value, css='runloop-wide')}</tr>" for key, value in self.rows if value)
        return page(f"<table>{''.join(rows)}</table>")


@dataclass(frozen=True, slots=True, repr=False)
class Done(Generic[T]):
    """What a verb did: shows as one sentence; `item` is what it was done to."""

    text: str
    item: T

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.item, name)

    def __repr__(self) -> str:
        return printable(self.text)


def ago(milliseconds: int | None) -> str:
    """How long ago a time was, given in milliseconds since 1970."""
    return "" if milliseconds is None else f"{spell_duration(time.time() - milliseconds / 1000)} ago"


def pairs(metadata: Mapping[str, str] | None) -> str:
    """Metadata on one line."""
    return ", ".join(f"{key}={value}" for key, value in (metadata or {}).items())


def _fields(item: object) -> dict[str, Any]:
    dump = getattr(item, "model_dump", None)
    return dict(dump()) if dump else {name: getattr(item, name) for name in item.__slots__}  # type: ignore[attr-defined]
