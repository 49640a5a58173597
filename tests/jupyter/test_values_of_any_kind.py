"""Values drawn from all that can be sent: each arrives as it left, or was refused by name before anything was sent."""

from __future__ import annotations

import datetime as dt
import decimal
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from runloop_jupyter.remote.values import ValueProblem, pack, unpack
from tests.jupyter.alike import alike

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]).map(zoneinfo.ZoneInfo)
OFFSETS = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)  # with halves of characters
FOLDS = st.sampled_from([0, 1])
TIMES = st.builds(
    lambda time, zone, fold: time.replace(tzinfo=zone, fold=fold), st.datetimes(), st.none() | ZONES | OFFSETS, FOLDS
)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    TEXTS,
    st.binary(max_size=8),
    st.complex_numbers(),
    st.decimals(),
    TIMES,
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9)),
    st.builds(decimal.Decimal, st.sampled_from(["sNaN3", "-Infinity", "1E+999", "-0E-9"])),
)
# What neither sets nor pandas can hold, a signalling NaN, is left out.
HASHED = ATOMS.filter(lambda value: not (isinstance(value, decimal.Decimal) and value.is_snan()))
DTYPES = st.one_of(
    numpy_st.scalar_dtypes(), numpy_st.array_dtypes(), numpy_st.nested_dtypes(), st.just(np.dtype(object))
)


@st.composite
def arrays(draw: st.DrawFn, shapes: Any = None) -> Any:
    """Arrays of every dtype, in both orders, also as parts of others and in the classes that numpy has for them."""
    dtype = draw(DTYPES)
    shape = draw(shapes or numpy_st.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    if dtype.hasobject:
        return draw(numpy_st.arrays(dtype, shape, elements=ATOMS | st.lists(ATOMS, max_size=2), fill=st.nothing()))
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    array = np.frombuffer(draw(st.binary(min_size=256, max_size=256)) * 64, np.uint8)
    size = dtype.itemsize * int(np.prod(shape))
    array = (
        np.ndarray(shape, dtype, buffer=array[:size].tobytes() or b"\0")
        if size <= array.size
        else np.ones(shape, dtype)
    )
    array = np.array(array, order=draw(st.sampled_from("CF")))
    if not array.ndim:
        return array[()]
    return draw(st.sampled_from([array, array[::-1], array.T, array[:1]]))


SUBCLASSES = st.builds(
    lambda array, kind: array.view(kind),
    numpy_st.arrays("i4", (2, 2)),
    st.sampled_from([np.matrix, np.ma.MaskedArray, np.recarray]),
)


def column(dtype: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A strategy for columns of three values."""
    return st.lists(values, min_size=3, max_size=3).map(lambda found: pd.array(found, dtype=dtype))


def numbers(bits: int) -> st.SearchStrategy[Any]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) | st.none()


MOMENTS = st.integers(-(1 << 60), 1 << 60)
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
COLUMNS = st.one_of(
    *(column(f"Int{bits}", numbers(bits)) for bits in (8, 16, 32, 64)),
    column("UInt64", st.integers(0, (1 << 64) - 1) | st.none()),
    column("Float64", st.floats() | st.none()),
    column("boolean", st.booleans() | st.none()),
    column("string[python]", st.text(max_size=5) | st.none()),
    column("string[pyarrow]", st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.none()),
    column("str", st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.none()),
    column("category", st.text(max_size=2) | st.none()),
    column("category", st.integers(0, 3)),
    column(pd.CategoricalDtype([1, "a", 2.5], ordered=True), st.sampled_from([1, "a", 2.5, None])),
    column("period[D]", st.integers(0, 9).map(lambda day: pd.Period(ordinal=day, freq="D"))),
    column("period[Q-NOV]", st.integers(0, 9).map(lambda day: pd.Period(ordinal=day, freq="Q-NOV"))),
    column("interval", st.integers(-5, 5).map(lambda left: pd.Interval(left, left + 1))),
    column("int64[pyarrow]", numbers(64)),
    column(pd.ArrowDtype(pa.list_(pa.string())), st.lists(st.sampled_from(["a", ""]), max_size=2) | st.none()),
    column("Sparse[int]", st.integers(0, 1)),
    st.builds(
        lambda moments, unit, zone: (
            pd.DatetimeIndex(np.array(moments, f"M8[{unit}]")).tz_localize("UTC").tz_convert(zone).array
        ),
        st.lists(st.integers(-(1 << 31), 1 << 31), min_size=3, max_size=3),
        UNITS,
        ZONES,
    ),
    st.builds(
        lambda moments, kind, unit: np.array(moments, f"{kind}8[{unit}]"),
        st.lists(MOMENTS | st.just(-(1 << 63)), min_size=3, max_size=3),
        st.sampled_from("Mm"),
        UNITS,
    ),
    numpy_st.arrays(st.sampled_from(["i1", "u8", "f2", "f4", "f8", "c16", "?", ">i4"]), 3),
    st.lists(HASHED | st.dictionaries(TEXTS, HASHED, max_size=2), min_size=3, max_size=3).map(
        lambda found: pd.Series(found, dtype=object).array
    ),
)
NAMES = st.one_of(st.none(), TEXTS, st.integers(), st.booleans(), st.tuples(st.integers(), TEXTS), st.dates())


def if_pandas_can(make: Callable[[], Any]) -> Any:
    """An index, but of what pandas has none: half precision, the other byte order, dicts, lists that it cannot sort."""
    try:
        return make()
    except (NotImplementedError, TypeError, ValueError):
        reject()


@st.composite
def indexes(draw: st.DrawFn) -> Any:
    """Indexes of three labels, of every kind."""
    kind = draw(st.sampled_from(["range", "column", "levels", "labels", "times", "steps"]))
    if kind == "range":
        return pd.RangeIndex(0, 6, 2, name=draw(NAMES))
    if kind == "levels":
        levels, names = [draw(COLUMNS), [1, 2, 1]], [draw(NAMES), draw(NAMES)]
        return if_pandas_can(lambda: pd.MultiIndex.from_arrays(levels, names=names))
    if kind == "times":
        freq = draw(st.sampled_from(["D", "h", "MS", "B", "W-TUE", "3min", "QE-FEB"]))
        return pd.date_range("2024-03-29", periods=3, freq=freq, tz=draw(st.none() | ZONES), unit=draw(UNITS))
    if kind == "steps":
        return pd.timedelta_range("1s", periods=3, freq=draw(st.sampled_from(["D", "90s"])), name=draw(NAMES))
    if kind == "labels":
        return pd.Index(draw(st.lists(NAMES, min_size=3, max_size=3)), dtype=object, tupleize_cols=False)
    found, name = draw(COLUMNS), draw(NAMES)
    return if_pandas_can(lambda: pd.Index(pd.Series(found, dtype=found.dtype), name=name))


@st.composite
def series(draw: st.DrawFn) -> Any:
    """Series of three values."""
    found = draw(COLUMNS)
    return pd.Series(found, index=draw(indexes()), dtype=found.dtype, name=draw(NAMES))


@st.composite
def frames(draw: st.DrawFn) -> Any:
    """Frames of three rows and up to three columns, with any labels."""
    columns = {
        place: pd.Series(found, dtype=found.dtype) for place, found in enumerate(draw(st.lists(COLUMNS, max_size=3)))
    }
    frame = pd.DataFrame(columns, index=range(3))
    frame.index, frame.columns = draw(indexes()), draw(indexes())[: len(columns)]
    frame.attrs = draw(st.dictionaries(TEXTS, ATOMS, max_size=1))
    return frame


def arrow_columns() -> st.SearchStrategy[Any]:
    """Columns of Arrow, of three values."""
    return st.one_of(
        st.lists(numbers(64), min_size=3, max_size=3).map(lambda found: pa.array(found, "i8")),
        st.lists(st.floats() | st.none(), min_size=3, max_size=3).map(lambda found: pa.array(found, "f8")),
        st.lists(st.sampled_from(["a", "b", None]), min_size=3, max_size=3).map(
            lambda found: pa.array(found, pa.string())
        ),
        st.just(pa.array(["x", "y", "x"]).dictionary_encode()),
        st.just(pa.array([[1], None, []], pa.list_(pa.int8()))),
        st.just(pa.array([{"a": 1}, None, {"a": None}])),
        st.just(pa.array([1, 2, None], pa.timestamp("us", "Europe/Berlin"))),
        st.just(pa.array([decimal.Decimal("1.10"), None, decimal.Decimal(0)])),
    )


ARROW = st.builds(
    lambda columns, start: pa.table({str(place): found for place, found in enumerate(columns)}).slice(start),
    st.lists(arrow_columns(), max_size=3),
    st.integers(0, 3),
)
POLARS = ARROW.map(pl.from_arrow)
LEAVES = st.one_of(ATOMS, arrays(), SUBCLASSES, COLUMNS, indexes(), series(), frames(), ARROW, arrow_columns(), POLARS)
HASHABLE = HASHED | st.tuples(HASHED, HASHED) | st.frozensets(HASHED, max_size=2)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(TEXTS | st.just("$"), inner, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=3),
    ),
    max_leaves=4,
)


def packed(value: Any) -> bytes | str:
    try:
        return pack({"v": value}, pickles=False)
    except ValueProblem as problem:
        return str(problem)


@given(VALUES)
def test_a_value_arrives_as_it_left_or_is_refused_by_name(value: Any) -> None:
    back, there = packed(value), pack({"v": value}, pickles=True)
    if isinstance(back, bytes):
        assert alike(value, unpack(back, pickles=False)["v"])
        assert alike(value, unpack(there, pickles=True)["v"])
    else:
        assert back.startswith("'v' ")
        assert "\n" not in back
        assert type(unpack(there, pickles=True)["v"]) is type(value)


NEVER_REFUSED = st.one_of(ATOMS.filter(lambda value: type(value) is not str), numpy_st.arrays("f8", 3), ARROW, POLARS)


@given(NEVER_REFUSED)
def test_plain_values_and_tables_are_never_refused(value: Any) -> None:
    assert isinstance(packed(value), bytes)
