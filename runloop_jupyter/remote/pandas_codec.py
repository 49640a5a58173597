"""Codecs for pandas, column by column: each dtype is reduced to numpy arrays; the index and all labels are kept."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, List

from .codec import Codec, Unwritable

Pandas = Any
"""An object of pandas or of numpy, which have no types here: they are imported where a value needs them."""
Fields = Dict[str, Pandas]
Items = List[Pandas]
"""What a value was reduced to."""

pandas: Pandas = importlib.import_module("pandas")  # first, so that an ImportError names pandas, not numpy
numpy: Pandas = importlib.import_module("numpy")


def codec_for(kind: type) -> Codec | None:
    """The codec for a frame, series, index, array or scalar of pandas."""
    return _CODECS.get(_ALSO_CALLED.get(kind.__name__, kind.__name__))


def codec_tagged(tag: str) -> Codec | None:
    """The codec with this tag."""
    return _CODECS.get(tag.partition(".")[2])


def _write_frame(frame: Pandas) -> Fields:
    columns = [_array_of(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return {"index": frame.index, "labels": frame.columns, "columns": columns, **_write_notes(frame)}


def _read_frame(parts: Fields) -> Pandas:
    index = parts["index"]
    columns = {place: _series(array) for place, array in enumerate(parts["columns"])}
    frame = pandas.DataFrame(columns, index=pandas.RangeIndex(len(index)))
    frame.index, frame.columns = index, parts["labels"]
    return _with_notes(frame, parts)


def _write_series(series: Pandas) -> Fields:
    return {"index": series.index, "name": series.name, "values": _array_of(series), **_write_notes(series)}


def _read_series(parts: Fields) -> Pandas:
    series = _series(parts["values"])
    series.index, series.name = parts["index"], parts["name"]
    return _with_notes(series, parts)


def _write_notes(value: Pandas) -> Fields:
    return {"attrs": value.attrs, "duplicates": value.flags.allows_duplicate_labels}


def _with_notes(value: Pandas, parts: Fields) -> Pandas:
    value.attrs = parts["attrs"]
    value.flags.allows_duplicate_labels = parts["duplicates"]
    return value


def _array_of(column: Pandas) -> Pandas:
    """The array of a series or an index: a numpy array if it has a numpy dtype."""
    return numpy.asarray(column.array) if isinstance(column.dtype, numpy.dtype) else column.array


def _series(array: Pandas) -> Pandas:
    return _of_dtype(pandas.Series(array, dtype=array.dtype), array)


def _of_dtype(made: Pandas, array: Pandas) -> Pandas:
    """Check that pandas kept an array's dtype: pandas 1 has only times in nanoseconds, and fewer kinds of index."""
    if made.dtype != array.dtype:
        raise ValueError(f"pandas {pandas.__version__} cannot hold {array.dtype}")
    return made


def _write_index(index: Pandas) -> Items:
    return [_array_of(index), index.name, getattr(index, "freqstr", None) if _is_timed(index) else None]


def _read_index(parts: Items) -> Pandas:
    array, name, freq = parts
    made = _of_dtype(pandas.Index(array, dtype=array.dtype, name=name, tupleize_cols=False), array)
    if freq is None:
        return made
    try:
        made.freq = pandas.tseries.frequencies.to_offset(freq)
    except ValueError:  # the names of frequencies differ between versions of pandas
        made = type(made)(made, freq="infer")
    return made


def _is_timed(index: Pandas) -> bool:
    return isinstance(index, (pandas.DatetimeIndex, pandas.TimedeltaIndex))


def _write_levels(index: Pandas) -> Items:
    return [list(index.levels), [numpy.asarray(codes) for codes in index.codes], list(index.names)]


def _read_levels(parts: Items) -> Pandas:
    levels, codes, names = parts
    return pandas.MultiIndex(levels=levels, codes=codes, names=names)


def _read_range(parts: Items) -> Pandas:
    start, stop, step, name = parts
    return pandas.RangeIndex(start, stop, step, name=name)


def _read_categorical(parts: Items) -> Pandas:
    codes, categories, ordered = parts
    return pandas.Categorical.from_codes(codes, dtype=pandas.CategoricalDtype(categories, ordered))


def _write_masked(array: Pandas) -> Items:
    data = array._data.copy()
    data[array._mask] = 0  # the data of a missing value is arbitrary
    return [data, array._mask]


def _read_masked(name: str) -> Callable[[Items], Pandas]:
    return lambda parts: getattr(pandas.arrays, name)(*parts)


def _write_texts(array: Pandas) -> Items:
    missing = "NA" if getattr(array.dtype, "na_value", pandas.NA) is pandas.NA else "nan"
    return [array.dtype.storage, missing, list(array.to_numpy(dtype=object, na_value=None))]


def _read_texts(parts: Items) -> Pandas:
    storage, missing, texts = parts
    try:
        return pandas.array(texts, dtype=_text_dtype(storage, missing))
    except TypeError:  # before pandas 2.3, strings with NaN are objects
        objects = numpy.empty(len(texts), dtype=object)
        objects[:] = [numpy.nan if text is None else text for text in texts]
        return objects


def _text_dtype(storage: str, missing: str) -> Pandas:
    options = {} if missing == "NA" else {"na_value": numpy.nan}
    try:
        return pandas.StringDtype(storage, **options)
    except ImportError:  # pyarrow is not installed: the same texts as Python strings
        return pandas.StringDtype("python", **options)


def _write_times(array: Pandas) -> Items:
    zone = getattr(array, "tz", None)
    return [numpy.asarray(array if zone is None else array.tz_convert(None)), zone]


def _read_times(parts: Items) -> Pandas:
    times, zone = parts
    made = _of_dtype(pandas.Index(times, dtype=times.dtype), times)
    return made.array if zone is None else made.tz_localize("UTC").tz_convert(zone).array


def _read_periods(parts: Items) -> Pandas:
    ordinals, name = parts
    return pandas.arrays.PeriodArray(ordinals, dtype=pandas.api.types.pandas_dtype(name))


def _read_period(parts: Fields) -> Pandas:
    return pandas.Period(**parts)


def _read_intervals(parts: Items) -> Pandas:
    left, right, closed = parts
    return pandas.arrays.IntervalArray.from_arrays(left, right, closed=closed)


def _write_arrow(array: Pandas) -> Pandas:
    pyarrow = importlib.import_module("pyarrow")
    column = array.__arrow_array__()
    return column if isinstance(column, pyarrow.ChunkedArray) else pyarrow.chunked_array([column])


def _write_timestamp(stamp: Pandas) -> Items:
    return [stamp.asm8, stamp.tz, stamp.fold]


def _read_timestamp(parts: Items) -> Pandas:
    moment, zone, _ = parts
    stamp = pandas.Timestamp(moment)
    return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


def _write_missing(value: Pandas) -> None:
    if value is not pandas.NaT and value is not pandas.NA:
        raise Unwritable("a missing value of another kind", type(value))


def _codec(name: str, write: Callable[[Pandas], Pandas], read: Callable[[Pandas], Pandas]) -> Codec:
    return Codec(f"pandas.{name}", write, read)


_PLAIN_ARRAY = getattr(pandas.arrays, "NumpyExtensionArray", None) or pandas.arrays.PandasArray
_ALSO_CALLED = {
    "CategoricalIndex": "Index",
    "DatetimeIndex": "Index",
    "TimedeltaIndex": "Index",
    "PeriodIndex": "Index",
    "IntervalIndex": "Index",
    "Int64Index": "Index",  # these three are of pandas 1
    "UInt64Index": "Index",
    "Float64Index": "Index",
    "TimedeltaArray": "DatetimeArray",
    "ArrowStringArray": "StringArray",
    "ArrowStringArrayNumpySemantics": "StringArray",
    "StringArrayNumpySemantics": "StringArray",
    "PandasArray": "NumpyExtensionArray",
}
_CODECS = {
    codec.tag.partition(".")[2]: codec
    for codec in (
        _codec("DataFrame", _write_frame, _read_frame),
        _codec("Series", _write_series, _read_series),
        _codec("Index", _write_index, _read_index),
        _codec("MultiIndex", _write_levels, _read_levels),
        _codec("RangeIndex", lambda index: [index.start, index.stop, index.step, index.name], _read_range),
        _codec("Categorical", lambda array: [array.codes, array.categories, array.ordered], _read_categorical),
        *(
            _codec(each, _write_masked, _read_masked(each))
            for each in ("IntegerArray", "FloatingArray", "BooleanArray")
        ),
        _codec("StringArray", _write_texts, _read_texts),
        _codec("DatetimeArray", _write_times, _read_times),
        _codec("PeriodArray", lambda array: [array.asi8, array.dtype.name], _read_periods),
        _codec("IntervalArray", lambda array: [array.left, array.right, array.closed], _read_intervals),
        _codec("ArrowExtensionArray", _write_arrow, lambda column: pandas.arrays.ArrowExtensionArray(column)),
        _codec("NumpyExtensionArray", numpy.asarray, _PLAIN_ARRAY),
        _codec("Timestamp", _write_timestamp, _read_timestamp),
        _codec("Timedelta", lambda delta: delta.asm8, lambda delta: pandas.Timedelta(delta)),
        _codec("Period", lambda period: {"ordinal": period.ordinal, "freq": period.freqstr}, _read_period),
        _codec("Interval", lambda span: [span.left, span.right, span.closed], lambda parts: pandas.Interval(*parts)),
        _codec("NaTType", _write_missing, lambda _: pandas.NaT),
        _codec("NAType", _write_missing, lambda _: pandas.NA),
    )
}
