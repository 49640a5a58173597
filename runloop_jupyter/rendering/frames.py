"""Converts objects to pandas data frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(rows: Iterable[Mapping[str, object]]) -> DataFrame:
    """A pandas DataFrame. Raises `UsageError` if pandas is not installed."""
    try:
        import pandas as pd  # heavy and optional
    except ImportError as error:
        raise UsageError("A data frame needs pandas: %pip install pandas") from error
    return pd.DataFrame(list(rows))


def row_of(item: object) -> dict[str, object] | None:
    """The fields of an API view or a dataclass, without secret ones; None for anything else."""
    if dataclasses.is_dataclass(item):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item) if field.repr}
    # Views are recognised by a pydantic attribute, so that the SDK need not be imported for a table of anything else.
    return _plain_view(item) if hasattr(type(item), "model_fields") else None


def _plain_view(view: object) -> dict[str, object]:
    """The fields of a view, without those that its repr leaves out: signed URLs, tokens and keys."""
    fields = getattr(type(view), "model_fields", {})
    shown = (name for name, field in fields.items() if field.repr)
    return {name: _plain(getattr(view, name)) for name in shown}


def _plain(value: object) -> object:
    if hasattr(type(value), "model_fields"):
        return _plain_view(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
