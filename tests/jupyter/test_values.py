"""Values and figures between two Pythons: the real session process, real pandas, numpy, pyarrow and matplotlib."""

from __future__ import annotations

import ast
import base64
import collections
import datetime as dt
import decimal
import fractions
import io
import json
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import zipfile
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runloop_jupyter import remote
from runloop_jupyter.executions.python import Frames
from runloop_jupyter.remote import program
from runloop_jupyter.remote.values import ValueProblem, pack, unpack
from tests.jupyter.alike import alike

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME = pd.DataFrame(
    {
        "number": [1, 2, None],
        "time": pd.date_range("2024", periods=3, tz="Europe/Berlin"),
        "kind": pd.Categorical(["x", "y", "x"]),
        "text": ["é", None, "z"],
    },
    index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["i", "j"]),
)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NAN = float("nan")
PADDED = np.dtype([("small", "i1"), ("large", "f8", (2,))], align=True)
VALUES: dict[str, Any] = {
    "a crosstab by a boolean": pd.crosstab(pd.Series([1, 1, 2], name="g"), pd.Series([True, False, True], name="big")),
    "large integers beside nothing": pd.Series([1152921504606846977, None], dtype=object),
    "dicts in cells": pd.DataFrame({"c": [{"k": 1}, {"z": 2}]}),
    "labels of two types": pd.DataFrame([[1, 2]], columns=[2024, "total"]),
    "labels of categories": pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["a", "b"])),
    "labels twice": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "a time with its zone": dt.datetime(2024, 10, 26, 12, tzinfo=BERLIN),
    "the second of two equal times": dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN),
    "a time of an offset": dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "there")),
    "a time of day": dt.time(1, 2, 3, 4, fold=1),
    "a large integer": 10**5000,
    "a large negative integer in a list": [-(10**30), 1],
    "decimals": [decimal.Decimal(text) for text in ("-0E-7", "sNaN12", "Infinity", "1.10")],
    "zeros and what is no number": [-0.0, 0.0, NAN, -math.inf, complex(-0.0, NAN)],
    "sets": ({1, "a", 2.5, (1, True)}, frozenset({NAN})),
    "dicts of any keys": {1: "one", (2, 3): {"$": "odd"}, None: {}},
    "bytes": [b"", b"\x00\xff", bytearray(b"x"), b"y" * 70000],
    "ranges": [range(3), slice(None, 2)],
    "arrays in containers": {"a": np.ones(2), "f": [pd.DataFrame({"x": [1]})]},
    "a frame": FRAME,
    "an empty frame": pd.DataFrame(),
    "a frame without columns": pd.DataFrame(index=["a", "b"]),
    "a frame with notes": pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "days in an index": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2024", periods=2, freq="D", tz="UTC")),
    "a series": pd.Series([1.5, 2.5], name="n"),
    "a series without a name": pd.Series(["a", "b"]),
    "a series with the name ''": pd.Series([1], name=""),
    "integers with gaps": pd.Series([1, None], dtype="Int8"),
    "texts with gaps": pd.Series(["a", None], dtype="string[python]"),
    "seconds": pd.Series(np.array(["2024", "NaT"], dtype="M8[s]")),
    "periods": pd.Series(pd.period_range("2024", periods=2, freq="M")),
    "intervals": pd.interval_range(0, 2),
    "columns of Arrow": pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "tuples in an index": pd.Index([(1, 2), (3, 4)], tupleize_cols=False),
    "single values of pandas": [pd.NaT, pd.NA, pd.Timedelta(1, "s"), pd.Period("2024-01"), pd.Interval(0, 1, "both")],
    "a moment of pandas": pd.Timestamp("2024-10-27 02:30").tz_localize(BERLIN, ambiguous=False),
    "an array": np.arange(12, dtype="int16").reshape(3, 4),
    "an array by columns": np.asfortranarray(np.ones((2, 3))),
    "an array of big-endian numbers": np.arange(3, dtype=">i4"),
    "an array of nothing": np.zeros((0, 3)),
    "an array of one": np.array(5),
    "an array of records": np.ones(2, dtype=PADDED),
    "an array of objects": np.array([[1, [2]], [None, {3}]], dtype=object),
    "numbers of numpy": [np.float32(1.5), np.longlong(5), np.longdouble("1.1"), np.bool_(1), np.void(b"abc")],
    "texts of numpy": [np.str_("a\0"), np.bytes_(b"")],
    "times of numpy": [np.array(["2024-01-01", "NaT"], dtype="M8[D]"), np.timedelta64(3, "h")],
    "an Arrow table": pa.table({"q": [1, None], "n": [NAN, -0.0]}, metadata={"k": "v"}),
    "a part of an Arrow table": pa.table({"q": range(20), "m": [None, "x"] * 10}).slice(3, 11),
    "Arrow's columns": [pa.array([], "i8"), pa.chunked_array([[1], [None]]), pa.record_batch({"q": pa.array(["a"])})],
    "a polars frame": pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [NAN, -0.0]}),
    "a polars column": pl.Series("n", ["a", "b", None], dtype=pl.Enum(["b", "a"])),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("pickles", [False, True], ids=["out", "in"])
def test_they_arrive_as_they_left(value: Any, pickles: bool) -> None:
    data = pack({"v": value}, pickles=pickles)
    assert b"v.pickle" not in data
    assert alike(value, unpack(data, pickles=pickles)["v"])


def test_a_day_after_a_change_of_clocks_is_a_day_of_the_zone() -> None:
    came = unpack(pack({"t": dt.datetime(2024, 10, 26, 12, tzinfo=BERLIN)}, pickles=False), pickles=False)["t"]
    assert (came + dt.timedelta(days=1)).isoformat() == "2024-10-27T12:00:00+01:00"


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Mine(pd.DataFrame):  # type: ignore[misc]  # pandas has no types
    """A frame of one's own class."""


def matrix() -> Any:
    return np.array([[1, 2], [3, 4]]).view(np.matrix)  # its constructor warns


REFUSED: dict[str, tuple[Any, str]] = {
    "a matrix": (matrix(), r"'v' is a numpy.matrix: .* send numpy.asarray\(v\)"),
    "an array with a mask": (np.ma.array([1, 2], mask=[False, True]), r"is a numpy.ma.MaskedArray: .* v.filled\(\)"),
    "named records": (np.rec.array([(1,)], dtype=[("a", "i4")]), r"recarray: .* numpy.asarray\(v\)"),
    "texts in numpy's own way": (np.array(["a"], dtype=np.dtypes.StringDType()), r"an array of the dtype StringDType"),
    "sparse columns": (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), "holds a pandas.arrays.SparseArray: "),
    "a frame of one's own": (Mine({"a": [1]}), r"'v' is a \S+Mine: "),
    "objects in a frame": (pd.DataFrame({"a": [fractions.Fraction(1, 3)]}), r"'v' holds a fractions.Fraction: "),
    "a fraction": (fractions.Fraction(1, 3), r"'v' is a fractions.Fraction: .* unpickling .* send str\(v\)"),
    "a fraction somewhere": ([{"a": fractions.Fraction(1, 3)}], r"'v' holds a fractions.Fraction: .* send str\(it\)"),
    "a counter": (collections.Counter("aab"), r"'v' is a collections.Counter: .* send dict\(v\)"),
    "a dict with defaults": (collections.defaultdict(list), r"'v' is a collections.defaultdict: .* send dict\(v\)"),
    "a signal's number": ([signal.SIGINT], r"'v' holds a signal.Signals: .* send int\(it\)"),
    "halves of a character": ("\ud83d\ude00", "'v' is a str that would change on its way: "),
    "two keys that are no numbers": ({NAN: 1, float("nan"): 2}, "'v' is a dict that would change on its way: "),
    "a list within itself": (itself(), "'v' is a list that is nested too deeply, or holds itself: "),
    "Python's objects in polars": (pl.Series("o", [{1}], dtype=pl.Object), "'v' holds a column of Python objects: "),
}


@pytest.mark.parametrize(("value", "said"), REFUSED.values(), ids=REFUSED)
def test_what_would_change_is_refused_on_its_way_back_and_pickled_on_its_way_there(value: Any, said: str) -> None:
    with pytest.raises(ValueProblem, match=said) as raised:
        pack({"v": value}, pickles=False)
    assert "\n" not in str(raised.value)
    if not isinstance(value, pl.Series):  # which cannot be pickled either
        came = unpack(pack({"v": value}, pickles=True), pickles=True)["v"]
        assert type(came) is type(value)
        assert repr(came) == repr(value)


def test_a_list_in_two_places_stays_one_in_the_devbox() -> None:
    row = [0]
    came = unpack(pack({"v": [row, row]}, pickles=True), pickles=True)["v"]
    assert came[0] is came[1]
    assert unpack(pack({"v": [row, row]}, pickles=False), pickles=False)["v"] == [[0], [0]]


def test_what_lies_between_the_fields_of_a_record_stays_here() -> None:
    record = np.frombuffer(b"\1secret!" + bytes(16), dtype=PADDED)
    assert b"secret!" in record.tobytes()
    assert b"secret!" not in pack({"v": record}, pickles=False)


def hostile(suffix: str, data: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr(f"x.{suffix}", data)
    return target.getvalue()


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/runloop-bomb",)


def npy_of_objects() -> bytes:
    target = io.BytesIO()
    np.save(target, np.array([Bomb()], dtype=object), allow_pickle=True)
    return target.getvalue()


def tree(tag: str, content: Any, data: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x.json", json.dumps({"$": tag, "v": content}))
        archive.writestr("x.bytes", data)
    return target.getvalue()


BYTES = {"$": "bytes", "v": 8}
RECORD = {"names": ["a"], "formats": [["|O", "O", None]], "offsets": [0], "titles": [None], "itemsize": 8}
LARGE = [["<f8", "d", None], [1 << 40], "C", BYTES]
CODES = {"$": "numpy.array", "v": [["<i8", "l", None], [1], "C", BYTES]}
LEVEL = {"$": "pandas.RangeIndex", "v": [0, 1, 1, None]}
HOSTILE = {
    "a pickle": hostile("pickle", pickle.dumps(Bomb())),
    "a pickle in an array": hostile("npy", npy_of_objects()),
    "a zip bomb": hostile("json", b"[" + b"1," * 1_000_000 + b"1]", zipfile.ZIP_DEFLATED),
    "deep JSON": hostile("json", b"[" * 100_000),
    "an unknown kind": hostile("json", b'{"$": "code", "v": 1}'),
    "a kind that is no text": hostile("json", b'{"$": [], "v": 1}'),
    "a kind without a value": hostile("json", b'{"$": "set"}'),
    "an unknown kind of pandas": tree("pandas.read_pickle", "x"),
    "another package": tree("os.system", "touch /tmp/runloop-bomb"),
    "the same bytes many times": tree("tuple", [BYTES] * 1000, bytes(8)),
    "fewer than no bytes": tree("tuple", [{"$": "bytes", "v": -1}], bytes(8)),
    "addresses as objects": tree("numpy.array", [["|O", "O", None], [1], "C", BYTES], bytes(8)),
    "addresses in a record": tree("numpy.array", [{**RECORD, "aligned": False}, [1], "C", BYTES], bytes(8)),
    "a larger array than its bytes": tree("numpy.array", LARGE, bytes(8)),
    "codes beyond the levels": tree("pandas.MultiIndex", [[LEVEL], [CODES], [None]], b"\x7f" * 8),
    "a zone that is a path": tree("zoneinfo.zone", "../../../etc/passwd"),
    "no JSON": hostile("json", b"\xff"),
    "no Arrow": tree("pyarrow.Table", BYTES, b"nonsense"),
    "no Arrow for polars": tree("polars.DataFrame", BYTES, b"nonsense"),
    "an unknown suffix": hostile("exe", b"x"),
    "no pack": b"nonsense",
    "nothing": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_is_read(data: bytes) -> None:
    with pytest.raises(ValueProblem) as raised:
        unpack(data, pickles=False)
    assert "\n" not in str(raised.value)
    assert not os.path.exists("/tmp/runloop-bomb")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Path]:
    """Where a session of this Python lives; its process is ended in the end."""
    yield tmp_path
    for file in tmp_path.glob("runloop-python-*/*.pid"):
        os.killpg(int(file.read_text()), signal.SIGKILL)


def run(
    session: Path, code: str, values: dict[str, Any], out: list[str], *options: str, exit_code: int = 0
) -> list[str | dict[str, Any]]:
    request = {
        "session": "s",
        "restart": False,
        "word": "word",
        "code": code,
        "offset": 0,
        "cwd": None,
        "env": {},
        "values": base64.b64encode(pack(values, pickles=True)).decode(),
        "values_path": "",
        "out": out,
        "spill": str(session / "spill"),
    }
    argument = base64.b64encode(json.dumps(request).encode()).decode()
    command = [sys.executable, *options, "-c", program(), argument]
    ended = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(session)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == exit_code, ended.stderr
    assert ended.stderr == ""
    return list(Frames("word").feed(ended.stdout))


def test_frames_and_figures_of_a_session(session: Path) -> None:
    code = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\n"
        "double = frame.assign(number=frame.number * 2)\nmean = double.number.mean()\ndouble"
    )
    pieces = run(session, code, {"frame": FRAME}, ["double", "mean"])
    frames = [piece for piece in pieces if isinstance(piece, dict)]
    assert [frame["kind"] for frame in frames] == ["new", "display", "display", "values"]
    assert '<table border="1" class="dataframe">' in frames[1]["data"]["text/html"]
    assert base64.b64decode(frames[2]["data"]["image/png"]).startswith(b"\x89PNG")
    values = unpack(base64.b64decode(frames[3]["data"]), pickles=False)
    assert values["double"]["number"].tolist()[:2] == [2.0, 4.0]
    assert values["mean"] == 3.0
    again = run(session, "plt.get_fignums(), list(double.columns)", {}, [])
    assert [piece["data"]["text/plain"] for piece in again if isinstance(piece, dict)] == [
        "([], ['number', 'time', 'kind', 'text'])"
    ]


def test_a_devbox_without_packages_takes_and_gives_plain_values_and_names_what_it_needs(session: Path) -> None:
    values = {"a": [1, (2.5, {"x"}), b"y", 10**30], "t": dt.datetime(2024, 10, 27, 2, fold=1, tzinfo=BERLIN)}
    _, back = run(session, "b, u = a, t", values, ["b", "u"], "-S")
    assert isinstance(back, dict)
    came = unpack(base64.b64decode(back["data"]), pickles=False)
    assert alike([*values.values()], [came["b"], came["u"]])
    (said,) = run(session, "a", {"frame": FRAME}, [], "-S", exit_code=1)
    assert isinstance(said, dict)
    advice = "%pip install pandas in a %%devbox python cell"
    assert re.fullmatch(rf"'frame' needs what is missing in the devbox \(.*'pandas'\): {advice}", said["text"])


def test_texts_of_pyarrow_arrive_where_it_is_missing(session: Path) -> None:
    values = {dtype: pd.Series(["a", None], dtype=dtype) for dtype in ("str", "string")}
    run(session, "import sys; sys.modules['pyarrow'] = None", {}, [])
    code = "back = [[each.dtype.storage, each.isna().tolist(), each[0]] for each in (texts, words)]"
    (frame,) = run(session, code, {"texts": values["str"], "words": values["string"]}, ["back"])
    assert isinstance(frame, dict)
    came = unpack(base64.b64decode(frame["data"]), pickles=False)["back"]
    assert came == [["python", [False, True], "a"]] * 2


_THERE_WHEN_USED = {"figures": {"plotly", "bokeh"}, "ipython_cells": {"IPython", "traitlets"}}
"""Packages that a part serves: it is used once they have been imported."""


@pytest.mark.parametrize("part", sorted(Path(remote.__file__).parent.glob("*.py")), ids=lambda part: part.stem)
def test_what_is_sent_is_python_3_8_and_imports_nothing_that_may_be_missing(part: Path) -> None:
    nodes = list(ast.walk(ast.parse(part.read_text(), feature_version=(3, 8))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    known = sys.stdlib_module_names | {"cloudpickle"} | _THERE_WHEN_USED.get(part.stem, set())
    assert {name.partition(".")[0] for name in names} <= known
