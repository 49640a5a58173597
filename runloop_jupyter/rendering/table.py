"""The table of any kind of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from . import page
from .frames import data_frame, row_of
from .states import css_class
from .text import aligned

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], str]]
"""The columns: their titles, and functions from an item to its text. "id" is shown as code; "status", "state" and ""
in the colour of their symbol."""

_CODES = frozenset({"id"})
_SIGNED = frozenset({"", "status", "state"})
_SHORT = _CODES | _SIGNED | {"created", "changed", "started", "type", "size", "time"}
_WIDEST = 60  # characters of a column in plain text
_CURRENT = "→"
_NO_PART = "Nothing in this part of the list."


class Listing(Sequence[T], Generic[T]):
    """A sequence of items, newest first, that is shown as a table.

    `none` is the text of an empty table, which says what to type; `current` is the id of the item to mark.
    """

    def __init__(
        self, items: Iterable[T], columns: Columns[T], *, none: str, note: str = "", current: str | None = None
    ) -> None:
        self._items = tuple(items)
        self._columns = columns
        self._none = none
        self._note = note
        self._current = current

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Listing[T]: ...
    def __getitem__(self, index: int | slice) -> T | Listing[T]:
        if isinstance(index, slice):
            none = _NO_PART if self._items else self._none
            return Listing(self._items[index], self._columns, none=none, current=self._current)
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def rows(self) -> list[list[str]]:
        """The texts of the table."""
        return [[show(item) for show in self._columns.values()] for item in self._items]

    def to_dataframe(self) -> DataFrame:
        """A pandas DataFrame with a row for each item and all fields as columns. Raises `UsageError` without pandas."""
        texts = (dict(zip(self._columns, row, strict=True)) for row in self.rows())
        return data_frame(row_of(item) or text for item, text in zip(self._items, texts, strict=True))

    def __repr__(self) -> str:
        if not self._items:
            return self._none
        head, rows = self._filled()
        if self._current is not None:
            marks = (_CURRENT if self._is_current(item) else "" for item in self._items)
            head, rows = ["", *head], [[mark, *row] for mark, row in zip(marks, rows, strict=True)]
        table = aligned(rows, head, widest=_WIDEST, whole=_CODES)
        return f"{table}\n{self._note}" if self._note else table

    def to_html(self) -> str:
        """The table without the surrounding page, for a page with more content."""
        if not self._items:
            return page.paragraph(self._none)
        head, rows = self._filled()
        lines = (self._html_row(item, head, row) for item, row in zip(self._items, rows, strict=True))
        return page.table(head, lines) + page.paragraph(self._note)

    def _repr_html_(self) -> str:
        return page.page(self.to_html())

    def _filled(self) -> tuple[list[str], list[list[str]]]:
        """The titles and the rows without empty columns; with all columns if every one is empty."""
        columns = list(zip(self._columns, zip(*self.rows(), strict=True), strict=True))
        filled = [(title, texts) for title, texts in columns if any(texts)] or columns
        return [title for title, _ in filled], [list(row) for row in zip(*(texts for _, texts in filled), strict=True)]

    def _html_row(self, item: T, head: list[str], row: list[str]) -> str:
        current = self._is_current(item)
        if current:  # an arrow as well, because bold type alone is easy to miss, and is not read out
            row = [f"{_CURRENT} {row[0]}", *row[1:]]
        cells = "".join(map(_cell, head, row))
        return f'<tr class="runloop-current" aria-current="true">{cells}</tr>' if current else f"<tr>{cells}</tr>"

    def _is_current(self, item: T) -> bool:
        return self._current is not None and getattr(item, "id", None) == self._current


def _cell(title: str, text: str) -> str:
    body = page.code(text) if title in _CODES else page.escaped(text)
    css = css_class(text) if title in _SIGNED else ""
    return page.cell(body, css if title in _SHORT else "runloop-long")
