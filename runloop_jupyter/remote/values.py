"""Transfers named values between two Pythons.

A pack is an uncompressed zip file. For each name it has a JSON member with a member of bytes (`codec`), or a pickle.
Reading a pack runs no code of its sender unless `pickles` is true: only values that the user sends to a devbox may be
pickled, never those that a devbox sends back.
"""

from __future__ import annotations

import io
import sys
import zipfile
from typing import Any, Dict

from .codec import Unwritable, decode, encode, first_line

_INSTEAD = {  # by the name of a type or of one of its bases: the expression to send in its place
    "matrix": "numpy.asarray({})",
    "MaskedArray": "{}.filled()",
    "recarray": "numpy.asarray({})",
    "LazyFrame": "{}.collect()",
    "SparseArray": "{}.sparse.to_dense()",
    "Tensor": "{}.numpy()",
    "spmatrix": "{}.toarray()",
    "sparray": "{}.toarray()",
    "Fraction": "str({})",
    "PurePath": "str({})",
    "UUID": "str({})",
    "Enum": "{}.value",
    "Exception": "repr({})",
    "deque": "list({})",
    "generator": "list({})",
    "dict": "dict({})",
    "list": "list({})",
    "tuple": "tuple({})",
    "set": "set({})",
    "str": "str({})",
    "int": "int({})",
    "float": "float({})",
    "bytes": "bytes({})",
    "ndarray": "{}.tolist()",
}
_PLAIN = (dict, list, tuple, set, str)


class ValueProblem(Exception):  # noqa: N818 - for one variable, with a sentence about it
    """A value cannot be packed or unpacked; the message says which one and why."""


def pack(values: Dict[str, object], *, pickles: bool) -> bytes:
    """Pack values by name. Raises `ValueProblem`.

    A value is written as its exact type, or pickled if `pickles` is true, or refused: none arrives changed.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, value in values.items():
            for suffix, data in _written(name, value, pickles=pickles).items():
                archive.writestr(f"{name}.{suffix}", data)
    return target.getvalue()


def unpack(data: bytes, *, pickles: bool) -> Dict[str, Any]:
    """Unpack the values of a pack. Raises `ValueProblem`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > len(data):
                raise ValueProblem("What came is larger than it says: it cannot be read")
            members = {member: archive.read(member) for member in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueProblem(f"What came cannot be read as values: {error}") from error
    found = {}
    for member, content in members.items():
        name, _, suffix = member.rpartition(".")
        if suffix != "bytes":
            found[name] = _read(name, suffix, content, members.get(f"{name}.bytes", b""), pickles=pickles)
    return found


def _written(name: str, value: object, *, pickles: bool) -> Dict[str, bytes]:
    try:
        tree, data = encode(value, keep_identity=pickles)
    except Unwritable as problem:
        if pickles:
            return {"pickle": _pickled(name, value)}
        raise ValueProblem(_refusal(name, value, problem)) from problem
    return {"json": tree, "bytes": data} if data else {"json": tree}


def _refusal(name: str, value: object, problem: Unwritable) -> str:
    kinds = problem.kind.__mro__ if problem.kind and problem.kind not in _PLAIN else ()
    fitting = [_INSTEAD[kind.__name__] for kind in kinds if kind.__name__ in _INSTEAD]
    text = fitting[0].format(name if problem.kind is type(value) else "it") if fitting else "its parts, or a file"
    return (
        f"{problem.about(name, value)}: it would have to be pickled, and unpickling what a devbox sends could run its "
        f"code here. Plain values, numpy arrays, pandas and polars frames and Arrow tables come back: send {text}"
    )


def _read(name: str, suffix: str, content: bytes, data: bytes, *, pickles: bool) -> object:
    try:
        if suffix == "json":
            return decode(content, data)
        if suffix == "pickle" and pickles:
            return _unpickled(content)
    except ImportError as error:
        is_here = "runloop_jupyter" in sys.modules
        where, cell = ("in the notebook", "") if is_here else ("in the devbox", " in a %%devbox python cell")
        package = (error.name or "").partition(".")[0]
        advice = f": %pip install {package}{cell}" if package else ""
        raise ValueProblem(f"{name!r} needs what is missing {where} ({first_line(error)}){advice}") from error
    except Exception as error:
        raise ValueProblem(f"{name!r} cannot be read: {first_line(error)}") from error
    raise ValueProblem(f"{name!r} comes as {suffix!r}, which cannot be read here")


def _pickled(name: str, value: object) -> bytes:
    try:
        import cloudpickle as pickle  # which includes functions and classes of the notebook
    except ImportError:
        import pickle
    try:
        return bytes(pickle.dumps(value, protocol=4))
    except Exception as error:
        raise ValueProblem(
            f"{name!r} is a {type(value).__name__}, which cannot be sent: {first_line(error)}"
        ) from error


def _unpickled(data: bytes) -> object:
    import pickle

    return pickle.loads(data)  # noqa: S301 - only in the devbox, and only data from its owner
