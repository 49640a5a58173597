"""Values on their way between two Pythons: JSON for plain ones, npy for numpy arrays, Arrow for data frames.

A pack is a zip file without compression, one member per name, whose suffix says how it is written. Reading one runs
no code of whoever wrote it, unless `pickles` is set: only what a person sends to a devbox may be pickled, never what
a devbox sends back.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import json
import sys
import zipfile
from typing import Any, Callable, Dict

_SAFE_ARROW = (14, 0, 1)  # earlier ones unpickle what a hostile Arrow file names


class ValueProblem(Exception):  # noqa: N818 - for one variable, with a sentence about it
    """A value cannot be written or read; the text says which and why."""


def pack(values: dict[str, Any], *, pickles: bool) -> bytes:
    """The pack of some values by name; `pickles` allows any object that can be pickled. Raises `ValueProblem`."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, value in values.items():
            suffix, data = _written(name, value, pickles=pickles)
            archive.writestr(f"{name}.{suffix}", data)
    return target.getvalue()


def unpack(data: bytes, *, pickles: bool) -> dict[str, Any]:
    """The values of a pack. Raises `ValueProblem`."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > len(data):
                raise ValueProblem("What came is larger than it says: it cannot be read")
            for member in members:
                name, _, suffix = member.filename.rpartition(".")
                found[name] = _read(name, suffix, archive.read(member), pickles=pickles)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueProblem(f"What came cannot be read as values: {error}") from error
    return found


def _written(name: str, value: Any, *, pickles: bool) -> tuple[str, bytes]:
    for is_it, suffix, write in _KINDS:
        if is_it(value):
            try:
                return suffix, write(value)
            except ImportError as error:
                if not pickles:
                    raise ValueProblem(_without_arrow(name, error)) from error
            except Exception as error:
                if not pickles:
                    raise ValueProblem(f"{name!r} cannot come back: {_first_line(error)}") from error
    return _plain_or_pickled(name, value, pickles=pickles)


def _plain_or_pickled(name: str, value: Any, *, pickles: bool) -> tuple[str, bytes]:
    try:
        return "json", json.dumps(_plain(value)).encode()
    except (TypeError, RecursionError) as error:
        if pickles:
            return "pickle", _pickled(name, value)
        kind = f"{type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")
        raise ValueProblem(
            f"{name!r} is a {kind}: only JSON values, numpy arrays and data frames come back from a devbox, "
            "because unpickling what it sends could run its code here"
        ) from error


def _read(name: str, suffix: str, data: bytes, *, pickles: bool) -> Any:
    reader = _unpickled if pickles and suffix == "pickle" else _READERS.get(suffix)
    if reader is None:
        raise ValueProblem(f"{name!r} comes as {suffix!r}, which cannot be read here")
    try:
        return reader(data)
    except ImportError as error:
        raise ValueProblem(_without_arrow(name, error)) from error
    except Exception as error:
        raise ValueProblem(f"{name!r} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]


def _without_arrow(name: str, error: ImportError) -> str:
    where = "in the notebook" if "runloop_jupyter" in sys.modules else "in the devbox"
    return f"{name!r} needs packages that are missing {where} ({error}): data frames travel by pyarrow"


def _plain(value: Any) -> Any:
    """The value in JSON's own types: an exact one as it is, others as {"$": kind, "v": ...}."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_plain(each) for each in value]
    if kind is dict and "$" not in value and all(type(key) is str for key in value):
        return {key: _plain(each) for key, each in value.items()}
    for name, tagged, write, _ in _TAGS:
        if kind is tagged:
            return {"$": name, "v": _plain(write(value))}
    raise TypeError(kind)


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: _restored(each) for key, each in value.items()}
    for name, _, _, read in _TAGS:
        if value["$"] == name:
            return read(_restored(value["v"]))
    raise ValueError(f"an unknown kind {value['$']!r}")


_TAGS: tuple[tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    ("tuple", tuple, list, tuple),
    ("dict", dict, lambda value: [list(item) for item in value.items()], dict),
    ("set", set, list, set),
    ("frozenset", frozenset, list, frozenset),
    ("bytes", bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    ("complex", complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    ("datetime", datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    ("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    (
        "timedelta",
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
    ("decimal", decimal.Decimal, str, decimal.Decimal),
)


def _is(package: str, *names: str) -> Callable[[Any], bool]:
    """A test for a package's objects that imports nothing: who has such an object has the package."""

    def is_it(value: Any) -> bool:
        return any(
            kind.__module__.partition(".")[0] == package and kind.__name__ in names for kind in type(value).__mro__
        )

    return is_it


def _write_npy(value: Any) -> bytes:
    import numpy

    target = io.BytesIO()
    numpy.save(target, value, allow_pickle=False)
    return target.getvalue()


def _read_npy(data: bytes) -> Any:
    import numpy

    found = numpy.load(io.BytesIO(data), allow_pickle=False)
    return found[()] if found.ndim == 0 else found


def _arrow() -> Any:
    import pyarrow
    import pyarrow.ipc

    version = tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdigit())
    if version < _SAFE_ARROW:
        raise ImportError(f"pyarrow {pyarrow.__version__} is too old to be safe")
    return pyarrow


def _write_table(table: Any) -> bytes:
    target = io.BytesIO()
    with _arrow().ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    return target.getvalue()


def _read_table(data: bytes) -> Any:
    return _arrow().ipc.open_stream(data).read_all()


def _write_pandas(frame: Any) -> bytes:
    return _write_table(_arrow().Table.from_pandas(frame))


def _write_series(series: Any) -> bytes:
    return _write_pandas(series.to_frame("" if series.name is None else series.name))


def _read_series(data: bytes) -> Any:
    frame = _read_table(data).to_pandas()
    series = frame[frame.columns[0]]
    return series.rename(None) if series.name == "" else series


def _read_polars(data: bytes) -> Any:
    import polars

    return polars.from_arrow(_read_table(data))


_KINDS: tuple[tuple[Callable[[Any], bool], str, Callable[[Any], bytes]], ...] = (
    (_is("numpy", "ndarray", "generic"), "npy", _write_npy),
    (_is("pandas", "DataFrame"), "pandas", _write_pandas),
    (_is("pandas", "Series"), "series", _write_series),
    (_is("polars", "DataFrame"), "polars", lambda frame: _write_table(frame.to_arrow())),
    (_is("pyarrow", "Table"), "arrow", _write_table),
)
_READERS: Dict[str, Callable[[bytes], Any]] = {
    "json": lambda data: _restored(json.loads(data.decode())),
    "npy": _read_npy,
    "pandas": lambda data: _read_table(data).to_pandas(),
    "series": _read_series,
    "polars": _read_polars,
    "arrow": _read_table,
}


def _pickled(name: str, value: Any) -> bytes:
    try:
        import cloudpickle as pickle  # functions and classes of a notebook go along with it
    except ImportError:
        import pickle
    try:
        return bytes(pickle.dumps(value, protocol=4))
    except Exception as error:
        raise ValueProblem(
            f"{name!r} is a {type(value).__name__}, which cannot be sent: {_first_line(error)}"
        ) from error


def _unpickled(data: bytes) -> Any:
    import pickle

    return pickle.loads(data)  # noqa: S301 - only in the devbox, and only what its owner sent
