"""The card of one object, and the sentence about an action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..text.quoting import printable
from . import page
from .frames import data_frame, row_of
from .states import css_class
from .text import aligned

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T", covariant=True)

_CODES = frozenset({"id", "use it", "see why"})
_SIGNED = frozenset({"status", "state"})


class _Wrapped(Generic[T]):
    """Wraps an `item`, whose attributes are also those of the wrapper."""

    __slots__ = ()
    item: T

    def __getattr__(self, name: str) -> Any:
        # Not the private ones: IPython would find the item's own `_repr_*_` methods, and copying would recurse.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.item, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in dir(self.item) if not name.startswith("_"))]

    def to_dataframe(self) -> DataFrame:
        """A pandas DataFrame with a row for the item, or for each of several. Raises `UsageError` without pandas."""
        items = self.item if isinstance(self.item, tuple) else (self.item,)
        return data_frame(row_of(item) or {"value": item} for item in items)


@dataclass(frozen=True, slots=True, repr=False)
class Details(_Wrapped[T]):
    """The details of an object: rows of a title and a text, and an optional figure below, which is HTML."""

    item: T
    rows: Sequence[tuple[str, str]]
    figure: str = ""

    def __repr__(self) -> str:
        return aligned(row for row in self.rows if row[1])

    def to_html(self) -> str:
        """The card without the surrounding page, for a page with more content."""
        return page.fields((title, _cell(title, text)) for title, text in self.rows if text) + self.figure

    def _repr_html_(self) -> str:
        return page.page(self.to_html())


@dataclass(frozen=True, slots=True, repr=False)
class Done(_Wrapped[T]):
    """A sentence about an action; `item` is the object that it was done to."""

    text: str
    item: T

    def __repr__(self) -> str:
        return printable(self.text)


def _cell(title: str, text: str) -> str:
    if title in _CODES:
        return page.cell(page.code(text), "runloop-long")
    return page.cell(page.link(text), f"runloop-long {css_class(text) if title in _SIGNED else ''}".rstrip())
