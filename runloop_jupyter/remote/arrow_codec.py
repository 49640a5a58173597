"""Codecs for the tables and columns of pyarrow and polars, which travel as Arrow streams."""

from __future__ import annotations

import importlib
import io
from typing import Any, Tuple

from .codec import Codec, Unwritable

Arrow = Any
"""A module, a table or a column of pyarrow or polars, which are imported where a value needs them."""

_SAFE = (14, 0, 1)  # earlier versions unpickle data that a hostile stream contains
_EXTENSION = b"ARROW:extension:name"


def codec_for(kind: type) -> Codec | None:
    """The codec for a table, or a column of one."""
    package = str(kind.__module__).partition(".")[0]
    names = [base.__name__ for base in kind.__mro__ if str(base.__module__).partition(".")[0] == package]
    return next((_CODECS[f"{package}.{name}"] for name in names if f"{package}.{name}" in _CODECS), None)


def codec_tagged(tag: str) -> Codec | None:
    """The codec with this tag."""
    return _CODECS.get(tag)


def _pyarrow() -> Arrow:
    pyarrow = importlib.import_module("pyarrow")
    version: Tuple[int, ...] = tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit())
    if version < _SAFE:
        raise ImportError(f"pyarrow {pyarrow.__version__} is too old to be safe")
    return pyarrow


def _write_table(table: Arrow) -> bytes:
    target = io.BytesIO()
    with importlib.import_module("pyarrow.ipc").new_stream(target, table.schema) as writer:
        writer.write(table)
    return target.getvalue()


def _stream(data: bytes) -> Arrow:
    """Open a stream. Raises ValueError for an extension type that is not installed: its storage type would be read."""
    _pyarrow()
    stream = importlib.import_module("pyarrow.ipc").open_stream(data)
    for field in stream.schema:
        if _EXTENSION in (field.metadata or {}):
            raise ValueError(f"{field.metadata[_EXTENSION].decode()!r} is no type of Arrow that is known here")
    return stream


def _read_table(data: bytes) -> Arrow:
    return _stream(data).read_all()


def _read_batch(data: bytes) -> Arrow:
    return _stream(data).read_next_batch()


def _write_chunks(column: Arrow) -> bytes:
    return _write_table(_pyarrow().table({"": column}))


def _write_array(array: Arrow) -> bytes:
    return _write_table(_pyarrow().record_batch([array], names=[""]))


def _polars() -> Arrow:
    return importlib.import_module("polars")


def _write_frame(frame: Arrow) -> bytes:
    if _polars().Object in frame.dtypes:
        raise Unwritable("a column of Python objects", type(frame))
    target = io.BytesIO()
    frame.write_ipc_stream(target)
    return target.getvalue()


def _write_series(series: Arrow) -> bytes:
    return _write_frame(series.to_frame())


def _read_frame(data: bytes) -> Arrow:
    return _polars().read_ipc_stream(io.BytesIO(data))


_CODECS = {
    codec.tag: codec
    for codec in (
        Codec("pyarrow.Table", _write_table, _read_table),
        Codec("pyarrow.RecordBatch", _write_table, _read_batch),
        Codec("pyarrow.ChunkedArray", _write_chunks, lambda data: _read_table(data).column(0)),
        Codec("pyarrow.Array", _write_array, lambda data: _read_batch(data).column(0)),
        Codec("polars.DataFrame", _write_frame, _read_frame),
        Codec("polars.Series", _write_series, lambda data: _read_frame(data).to_series()),
    )
}
