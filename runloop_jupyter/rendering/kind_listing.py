"""The table of resources of one kind, as its `ResourceKind` has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ..resources.kind import Named, ResourceKind, Row
from ..resources.specs import Column
from ..text.sizes import spell_size
from .states import state_text
from .table import Listing
from .text import ago

V = TypeVar("V", bound=Named)

_FORMS: Mapping[str, Callable[[int | None], str]] = {
    "time": ago,
    "bytes": lambda size: "" if size is None else spell_size(size),
}
"""The text of a number, by the form of its column; all other forms are texts as they are."""


def kind_listing(kind: ResourceKind[V], views: Sequence[V], *, none: str) -> Listing[V]:
    """The table of views of a kind; an empty one shows the text `none`."""
    rows = {id(view): [view.id, *kind.row_values(view.model_dump())] for view in views}

    def shown(column: Column) -> Callable[[V], str]:
        return lambda view: _text(kind, column, rows[id(view)])

    return Listing(views, {column.label.lower(): shown(column) for column in map(kind.column, kind.listed)}, none=none)


def _text(kind: ResourceKind[V], column: Column, row: Row) -> str:
    value = kind.value(row, column.key)
    if column.form == "status":
        return state_text(value, kind.value(row, "reason"))
    return _FORMS[column.form](value) if column.form in _FORMS else value
