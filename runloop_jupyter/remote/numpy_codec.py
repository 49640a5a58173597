"""Codecs for numpy's arrays and numbers: their bytes unchanged, arrays of objects item by item."""

from __future__ import annotations

import importlib
from typing import Any, List, Tuple

from .codec import Codec, Unwritable

Numpy = Any
"""An array or a dtype of numpy, which has no types here: it is imported where a value needs it."""
Items = List[Numpy]
"""What a value was reduced to."""

numpy: Numpy = importlib.import_module("numpy")


def codec_for(kind: type) -> Codec | None:
    """The codec for an array or a number; None for a subclass of array, such as a matrix or a masked array."""
    if kind in _CODECS:
        return _CODECS[kind]
    return _NUMBER if issubclass(kind, numpy.generic) and kind.__module__ == "numpy" else None


def codec_tagged(tag: str) -> Codec | None:
    """The codec with this tag."""
    return _TAGGED.get(tag)


def _write_array(array: Numpy) -> Items:
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    if array.dtype == numpy.dtype(object) and array.dtype.metadata is None:
        return [None, list(array.shape), order, list(array.ravel(order=order))]
    dtype = _write_dtype(array.dtype)
    if array.dtype.names is not None:  # field by field, without the padding between them
        return [dtype, list(array.shape), order, [array[name] for name in array.dtype.names]]
    return [dtype, list(array.shape), order, array.tobytes(order=order)]


def _read_array(parts: Items) -> Numpy:
    dtype, shape, order, data = parts
    if dtype is None:
        return _objects(data).reshape(shape, order=order)
    dtype = _read_dtype(dtype)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"an array of {dtype}")
    if dtype.names is not None:
        return _of_fields(dtype, tuple(shape), order, data)
    return numpy.ndarray(shape, dtype, buffer=data, order=order).copy(order="K")


def _of_fields(dtype: Numpy, shape: Tuple[int, ...], order: str, fields: Items) -> Numpy:
    if any(field.shape[: len(shape)] != shape for field in fields):
        raise ValueError("fields of other shapes")
    array = numpy.zeros(shape, dtype, order=order)
    for name, field in zip(dtype.names, fields):
        array[name] = field
    return array


def _objects(values: Items) -> Numpy:
    array = numpy.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # all at once, lists would become further dimensions
        array[place] = value
    return array


def _write_dtype(dtype: Numpy) -> Numpy:
    if dtype.metadata or dtype.hasobject or not dtype.itemsize:
        raise Unwritable(f"an array of the dtype {dtype}", numpy.ndarray)
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_write_dtype(base), list(shape)]
    if dtype.names is not None:
        return _write_fields(dtype)
    plain = numpy.dtype(dtype.str)
    if plain != dtype:
        raise Unwritable(f"an array of the dtype {dtype}", numpy.ndarray)
    return [dtype.str, dtype.char, _precision(dtype)]


def _write_fields(dtype: Numpy) -> Numpy:
    if dtype.type is not numpy.void:
        raise Unwritable(f"an array of {dtype.type.__name__}", numpy.ndarray)
    fields = [dtype.fields[name] for name in dtype.names]
    return {
        "names": list(dtype.names),
        "formats": [_write_dtype(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def _read_dtype(parts: Numpy) -> Numpy:
    if isinstance(parts, dict):
        aligned = parts.pop("aligned")
        parts["formats"] = [_read_dtype(each) for each in parts["formats"]]
        return numpy.dtype(parts, align=aligned)
    if not isinstance(parts[0], str):
        return numpy.dtype((_read_dtype(parts[0]), tuple(parts[1])))
    text, char, precision = parts
    dtype = numpy.dtype(text)
    if _precision(dtype) != precision:
        raise ValueError(f"{dtype} has another precision on the other machine")
    if dtype.char != char and numpy.dtype(char) == dtype:  # two names of one type, like long and long long
        return numpy.dtype(char)
    return dtype


def _precision(dtype: Numpy) -> int | None:
    """The bits of a long double's mantissa, which differ from machine to machine; None for other types."""
    return int(numpy.finfo(dtype).nmant) if dtype.kind in "fc" and dtype.char in "gG" else None


_NUMBER = Codec("numpy.number", lambda value: numpy.asarray(value), lambda array: array[()])
_CODECS = {
    numpy.ndarray: Codec("numpy.array", _write_array, _read_array),
    numpy.str_: Codec("numpy.str", str.__str__, numpy.str_),  # as arrays, both would lose trailing zeros
    numpy.bytes_: Codec("numpy.bytes", lambda value: b"".join([value]), numpy.bytes_),
}
_TAGGED = {codec.tag: codec for codec in (_NUMBER, *_CODECS.values())}
