"""Values and figures between two Pythons: the real session process, real pandas, numpy, pyarrow and matplotlib."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runloop_jupyter.executions.python import Frames
from runloop_jupyter.remote import program
from runloop_jupyter.remote.values import ValueProblem, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAME = pd.DataFrame(
    {
        "number": [1, 2, None],
        "time": pd.date_range("2024", periods=3, tz="Europe/Berlin"),
        "kind": pd.Categorical(["x", "y", "x"]),
        "text": ["é", None, "z"],
    },
    index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["i", "j"]),
)
VALUES: dict[str, Any] = {
    "a data frame": FRAME,
    "a series": pd.Series([1.5, 2.5], name="n"),
    "a series without a name": pd.Series(["a", "b"]),
    "an array": np.arange(12, dtype="int16").reshape(3, 4),
    "a number of numpy": np.float32(1.5),
    "times of numpy": np.array(["2024-01-01"], dtype="datetime64[D]"),
    "an Arrow table": pa.table({"q": [1, None]}),
}


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and bool(np.array_equal(one, other))
    return bool(one.equals(other)) if hasattr(one, "equals") else bool(one == other)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_they_come_back_unchanged(value: Any) -> None:
    back = unpack(pack({"v": value}, pickles=False), pickles=False)["v"]
    assert same(value, back)
    assert getattr(back, "name", None) == getattr(value, "name", None)


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


HOSTILE = {
    "a pickle": hostile("pickle", pickle.dumps(Bomb())),
    "a pickle in an array": hostile("npy", npy_of_objects()),
    "a zip bomb": hostile("json", b"[" + b"1," * 1_000_000 + b"1]", zipfile.ZIP_DEFLATED),
    "deep JSON": hostile("json", b"[" * 100_000),
    "an unknown kind": hostile("json", b'{"$": "code", "v": 1}'),
    "no JSON": hostile("json", b"\xff"),
    "no Arrow": hostile("pandas", b"nonsense"),
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


def test_arrays_of_objects_do_not_come_back_and_can_be_sent() -> None:
    value = np.array([{1}, None], dtype=object)
    with pytest.raises(ValueProblem, match="'v' cannot come back: ValueError: Object arrays"):
        pack({"v": value}, pickles=False)
    assert unpack(pack({"v": value}, pickles=True), pickles=True)["v"].tolist() == [{1}, None]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Path]:
    """Where a session of this Python lives; its process is ended in the end."""
    yield tmp_path
    for file in tmp_path.glob("runloop-python-*/*.pid"):
        os.killpg(int(file.read_text()), signal.SIGKILL)


def run(session: Path, code: str, values: dict[str, Any], out: list[str]) -> list[str | dict[str, Any]]:
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
    command = [sys.executable, "-c", program(), argument]
    ended = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(session)}, capture_output=True, text=True, check=True
    )
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
