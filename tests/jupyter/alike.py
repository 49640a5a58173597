"""Whether two values are alike in type and value, asked apart from the check that the code makes itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa


def alike(one: Any, other: Any) -> bool:
    """True, or an error of pandas' own comparison that says what differs."""
    if type(one) is not type(other):
        return False
    asked = next((compare for kinds, compare in _COMPARISONS if isinstance(one, kinds)), _scalars)
    return bool(asked(one, other))


def _scalars(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) and getattr(one, "dtype", None) == getattr(other, "dtype", None)


def _all_alike(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(alike, one, other))


def _in_words(value: Any) -> str:
    """A member of a set, with the members of each set in the order of their words."""
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(map(_in_words, value))}"
    return str(tuple(map(_in_words, value))) if isinstance(value, tuple) else repr(value)


def _arrays(one: Any, other: Any) -> bool:
    if (one.dtype, one.dtype.char, one.shape) != (other.dtype, other.dtype.char, other.shape):
        return False
    if one.flags.f_contiguous > other.flags.f_contiguous:
        return False
    if one.dtype.names:
        return all(_arrays(one[name].copy(), other[name].copy()) for name in one.dtype.names)
    if one.dtype == object:
        return _all_alike(list(one.flat), list(other.flat))
    return bool(one.tobytes() == other.tobytes())


def _pandas(one: Any, other: Any) -> bool:
    if isinstance(one, pd.Index):
        pd.testing.assert_index_equal(one, other, exact=True, check_exact=True)
        same_freq = getattr(one, "freq", None) == getattr(other, "freq", None)
        return same_freq and _all_alike([*one.names, *one], [*other.names, *other])
    if one.flags != other.flags or not alike(one.attrs, other.attrs) or not _pandas(one.index, other.index):
        return False
    if isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_exact=True, check_index_type=True)
        return alike(one.name, other.name) and alike(one.array, other.array)
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_column_type="exact", check_index_type="exact")
    columns = [(one.iloc[:, place], other.iloc[:, place]) for place in range(one.shape[1])]
    return _pandas(one.columns, other.columns) and all(alike(a.array, b.array) for a, b in columns)


def _arrow(one: Any, other: Any) -> bool:
    schemas = [getattr(each, "schema", each.type if hasattr(each, "type") else None) for each in (one, other)]
    metadata = [getattr(schema, "metadata", None) for schema in schemas]
    return bool(
        schemas[0] == schemas[1] and metadata[0] == metadata[1] and repr(one.to_pylist()) == repr(other.to_pylist())
    )


def _polars(one: Any, other: Any) -> bool:
    return one.equals(other) and repr(one) == repr(other) and str(one.to_arrow()) == str(other.to_arrow())


_COMPARISONS: tuple[tuple[Any, Any], ...] = (
    (dict, lambda one, other: _all_alike(list(one.items()), list(other.items()))),
    ((list, tuple), _all_alike),
    ((set, frozenset), lambda one, other: _in_words(one) == _in_words(other)),
    (int, lambda one, other: one == other),
    (np.ndarray, _arrays),
    ((pd.DataFrame, pd.Series, pd.Index), _pandas),
    (
        pd.api.extensions.ExtensionArray,
        lambda one, other: one.dtype == other.dtype and _all_alike(list(one), list(other)),
    ),
    ((pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray), _arrow),
    ((pl.DataFrame, pl.Series), _polars),
)
