"""Encodes values as JSON and bytes: each type is reduced to simpler values, and rebuilt from them.

JSON's own types stand for themselves; any other value is `{"$": tag, "v": its reduced value}`. Bytes follow the JSON,
in the order in which it refers to them. Types are exact: a subclass needs a `Codec` of its own. `encode` decodes what
it wrote and compares, so that a value arrives unchanged or is refused.
"""

from __future__ import annotations

import datetime
import decimal
import importlib
import json
from types import ModuleType
from typing import AbstractSet, Any, Callable, Dict, List, NamedTuple, Sequence, Set, Tuple

_PACKAGES = {
    "numpy": "numpy_codec",
    "pandas": "pandas_codec",
    "polars": "arrow_codec",
    "pyarrow": "arrow_codec",
    "pytz": "zone_codec",
    "zoneinfo": "zone_codec",
}
_ATOMS: Set[type] = {type(None), bool, int, float, str}
_MUTABLE = (list, dict, set, bytearray)
_JSON_INTEGERS = 1 << 63  # larger integers are hexadecimal: Python limits the digits of decimal ones


class Unwritable(Exception):  # noqa: N818 - describes a value
    """A value cannot be encoded, or contains one that cannot; `kind` is the type of that one."""

    def __init__(self, what: str, kind: type | None = None) -> None:
        super().__init__(what)
        self.kind = kind

    def about(self, name: str, value: object) -> str:
        """The beginning of an error message: 'numbers' holds a fractions.Fraction."""
        return f"{name!r} {'is' if self.kind is type(value) else 'holds'} {self}"


class Codec(NamedTuple):
    """Reduces (`write`), rebuilds (`read`) and compares (`same`) the values of one exact type.

    Without `same`, two values are the same if their reduced values are.
    """

    tag: str
    write: Callable[..., object]
    read: Callable[..., object]
    same: Callable[..., bool] | None = None


def encode(value: object, *, keep_identity: bool) -> Tuple[bytes, bytes]:
    """Encode a value as JSON and bytes. Raises `Unwritable` for a value that would not arrive unchanged.

    With `keep_identity`, that includes a value that holds the same list, dict or set twice.
    """
    writer = _Writer(keep_identity)
    try:
        tree = json.dumps(writer.node(value), separators=(",", ":")).encode("ascii")
        data = b"".join(writer.data)
        unchanged = same(decode(tree, data), value)
    except Unwritable:
        raise
    except RecursionError as error:
        raise Unwritable(f"{_a(type(value))} that is nested too deeply, or holds itself", type(value)) from error
    except Exception as error:
        raise Unwritable(f"{_a(type(value))} that cannot be written ({first_line(error)})", type(value)) from error
    if not unchanged:
        raise Unwritable(f"{_a(type(value))} that would change on its way", type(value))
    return tree, data


def decode(tree: bytes, data: bytes) -> Any:
    """Decode a value. Raises whatever its types raise when they cannot be rebuilt."""
    return _Reader(data).value(json.loads(tree.decode("ascii")))


def same(one: object, other: object) -> bool:
    """True if two values have one type and the same parts: -0.0 is not 0.0, and NaN is NaN."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is float:
        return repr(one) == repr(other)
    if kind in _ATOMS or kind is bytes:
        return bool(one == other)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and kind in (list, tuple):
        return _same_items(one, other)
    if isinstance(one, dict) and isinstance(other, dict) and kind is dict:
        return _same_items(list(one), list(other)) and _same_items(list(one.values()), list(other.values()))
    found = _codec_for(kind)
    return (found.same or (lambda a, b: same(found.write(a), found.write(b))))(one, other)


def first_line(error: BaseException) -> str:
    """The type of an exception and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]


def _same_items(one: Sequence[object], other: Sequence[object]) -> bool:
    if len(one) != len(other):
        return False
    types = list(map(type, one))
    at_once = set(types) <= _ATOMS and (float not in types or 0.0 not in one)  # fast for a long list of numbers
    if at_once and types == list(map(type, other)) and one == other:
        return True
    return all(map(same, one, other))


def _same_sets(one: AbstractSet[object], other: AbstractSet[object]) -> bool:
    """True if each member has one of its own type in the other set: 1, 1.0 and True are equal, but not the same."""
    if len(one) != len(other):
        return False
    members = {member: member for member in other}
    left = [member for member in one if member not in members or not same(member, members.pop(member))]
    rest = list(members)
    return len(left) == len(rest) <= 1 and all(map(same, left, rest))  # one NaN is not equal to another


def _a(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _codec_for(kind: type) -> Codec:
    """The codec for an exact type. Raises `Unwritable`."""
    found = _CODECS.get(kind)
    if found is None:
        package = str(kind.__module__).partition(".")[0]
        found = _module(package).codec_for(kind) if package in _PACKAGES else None
    if found is None:
        raise Unwritable(_a(kind), kind)
    return found


def _codec_tagged(tag: str) -> Codec:
    found = _TAGGED.get(tag)
    if found is None:
        package = tag.partition(".")[0]
        found = _module(package).codec_tagged(tag) if package in _PACKAGES else None
    if found is None:
        raise ValueError(f"an unknown kind {tag!r}")
    return found


def _module(package: str) -> ModuleType:
    """The codecs of a package's types, imported only when they are needed."""
    return importlib.import_module(f"{__package__}.{_PACKAGES[package]}")


def _fits(number: int) -> bool:
    return -_JSON_INTEGERS <= number < _JSON_INTEGERS


class _Writer:
    def __init__(self, keep_identity: bool) -> None:
        self.data: List[bytes] = []
        self._keep_identity = keep_identity
        self._seen: Dict[int, object] = {}  # by id(); keeping the objects keeps their ids from being used again

    def node(self, value: Any) -> object:
        """Reduce a value to JSON's own types."""
        kind = type(value)
        if kind in _ATOMS and (kind is not int or _fits(value)):
            return value
        if kind in _MUTABLE:
            self._see(value)
        if kind is list:
            return self._nodes(value)
        if kind is dict and "$" not in value and set(map(type, value)) <= {str}:
            return dict(zip(value, self._nodes(list(value.values()))))
        if kind is bytes:
            self.data.append(value)
            return {"$": "bytes", "v": len(value)}
        found = _codec_for(kind)
        return {"$": found.tag, "v": self.node(found.write(value))}

    def _nodes(self, values: List[object]) -> List[object]:
        if set(map(type, values)) <= _ATOMS and all(_fits(value) for value in values if type(value) is int):
            return values
        return [self.node(value) for value in values]

    def _see(self, value: object) -> None:
        if self._keep_identity and id(value) in self._seen:
            raise Unwritable(f"one {type(value).__name__} in two places")
        self._seen[id(value)] = value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._read = 0

    def value(self, node: object) -> object:
        """Rebuild the value of a node."""
        if isinstance(node, list):
            return node if set(map(type, node)) <= _ATOMS else [self.value(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return {key: self.value(each) for key, each in node.items()}
        if node["$"] == "bytes":
            return self._bytes(node["v"])
        return _codec_tagged(node["$"]).read(self.value(node["v"]))

    def _bytes(self, length: int) -> bytes:
        """The next bytes. None are read twice, so a small message cannot grow into a large value."""
        start, self._read = self._read, self._read + length
        if not start <= self._read <= len(self._data):
            raise ValueError("bytes are missing")
        return self._data[start : self._read]


def _write_moment(value: datetime.datetime | datetime.time) -> List[object]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]


def _read_time(made: Callable[..., object]) -> Callable[[List[object]], object]:
    return lambda parts: made(*parts[:-2], fold=parts[-2], tzinfo=parts[-1])


def _write_date(value: datetime.date) -> List[object]:
    return [value.year, value.month, value.day]


_CODECS: Dict[type, Codec] = {
    int: Codec("int", hex, lambda text: int(text, 16)),
    tuple: Codec("tuple", list, tuple),
    dict: Codec("dict", lambda value: [list(value), list(value.values())], lambda parts: dict(zip(*parts))),
    set: Codec("set", list, set, _same_sets),
    frozenset: Codec("frozenset", list, frozenset, _same_sets),
    bytearray: Codec("bytearray", bytes, bytearray),
    complex: Codec("complex", lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    range: Codec("range", lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    slice: Codec("slice", lambda value: [value.start, value.stop, value.step], lambda parts: slice(*parts)),
    decimal.Decimal: Codec("decimal", str, decimal.Decimal),
    datetime.date: Codec("date", _write_date, lambda parts: datetime.date(*parts)),
    datetime.time: Codec("time", _write_moment, _read_time(datetime.time)),
    datetime.datetime: Codec(
        "datetime", lambda value: _write_date(value) + _write_moment(value), _read_time(datetime.datetime)
    ),
    datetime.timedelta: Codec(
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
    datetime.timezone: Codec(
        "timezone", lambda value: list(value.__getinitargs__()), lambda parts: datetime.timezone(*parts)
    ),
}
_TAGGED = {codec.tag: codec for codec in _CODECS.values()}
