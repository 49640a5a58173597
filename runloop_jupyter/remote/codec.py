"""Values as JSON and bytes: each exact type is reduced to plainer values, and built from them again.

JSON's own types stand for themselves; any other is `{"$": tag, "v": what it was reduced to}`. Bytes lie beside the
JSON, one after the other, in the order in which the JSON speaks of them. A subclass is not its base: only types that
have a `Kind` are written, and `encode` reads back and compares all that it wrote.
"""

from __future__ import annotations

import datetime
import decimal
import importlib
import json
from typing import Any, Callable, Dict, List, NamedTuple, Set, Tuple

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
_JSON_INTEGERS = 1 << 63  # beyond, an integer is written in hexadecimal: Python limits the digits of decimal ones


class Unwritable(Exception):  # noqa: N818 - of one value, with what is said of it
    """A value that is, or holds, what cannot be written; `kind` is the type of what cannot."""

    def __init__(self, what: str, kind: type | None = None) -> None:
        super().__init__(what)
        self.kind = kind

    def about(self, name: str, value: object) -> str:
        """The beginning of a sentence: 'numbers' holds a fractions.Fraction."""
        return f"{name!r} {'is' if self.kind is type(value) else 'holds'} {self}"


class Kind(NamedTuple):
    """How the values of one exact type are reduced (`write`), built again (`read`) and compared (`same`).

    Without `same`, two values are the same if they are reduced to the same.
    """

    tag: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    same: Callable[[Any, Any], bool] | None = None


def encode(value: Any, *, keep_identity: bool) -> Tuple[bytes, bytes]:
    """A value as JSON and the bytes beside it. Raises `Unwritable` for any value that would not arrive as it is.

    With `keep_identity`, that is also one that holds a list, dict or set in two places.
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
    """The value. Raises whatever its types raise when they cannot be built."""
    return _Reader(data).value(json.loads(tree.decode("ascii")))


def same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and equal in all their parts: -0.0 is not 0.0, and NaN is NaN."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is float:
        return repr(one) == repr(other)
    if kind in _ATOMS or kind is bytes:
        return bool(one == other)
    if kind in (list, tuple):
        return _same_items(one, other)
    if kind is dict:
        return _same_items(list(one), list(other)) and _same_items(list(one.values()), list(other.values()))
    found = _kind_of(kind)
    return (found.same or (lambda a, b: same(found.write(a), found.write(b))))(one, other)


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]


def _same_items(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    types = list(map(type, one))
    at_once = set(types) <= _ATOMS and (float not in types or 0.0 not in one)  # a long list of numbers or texts
    if at_once and types == list(map(type, other)) and one == other:
        return True
    return all(map(same, one, other))


def _same_sets(one: Any, other: Any) -> bool:
    """Whether each member has one of its own type in the other: 1, 1.0 and True are equal members."""
    if len(one) != len(other):
        return False
    members = {member: member for member in other}
    left = [member for member in one if member not in members or not same(member, members.pop(member))]
    rest = list(members)
    return len(left) == len(rest) <= 1 and all(map(same, left, rest))  # one NaN is not equal to another


def _a(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _kind_of(kind: type) -> Kind:
    """How values of this very type are written. Raises `Unwritable`."""
    found = _KINDS.get(kind)
    if found is None:
        package = str(kind.__module__).partition(".")[0]
        found = _module(package).kind_of(kind) if package in _PACKAGES else None
    if found is None:
        raise Unwritable(_a(kind), kind)
    return found


def _kind_tagged(tag: str) -> Kind:
    found = _TAGGED.get(tag)
    if found is None:
        package = tag.partition(".")[0]
        found = _module(package).kind_tagged(tag) if package in _PACKAGES else None
    if found is None:
        raise ValueError(f"an unknown kind {tag!r}")
    return found


def _module(package: str) -> Any:
    """The part that knows a package's types: it is imported only where the package is needed."""
    return importlib.import_module(f"{__package__}.{_PACKAGES[package]}")


def _fits(number: int) -> bool:
    return -_JSON_INTEGERS <= number < _JSON_INTEGERS


class _Writer:
    def __init__(self, keep_identity: bool) -> None:
        self.data: List[bytes] = []
        self._keep_identity = keep_identity
        self._seen: Dict[int, Any] = {}  # the objects too: no other takes the number of one that is gone

    def node(self, value: Any) -> Any:
        """The value in JSON's own types."""
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
        found = _kind_of(kind)
        return {"$": found.tag, "v": self.node(found.write(value))}

    def _nodes(self, values: List[Any]) -> List[Any]:
        if set(map(type, values)) <= _ATOMS and all(_fits(value) for value in values if type(value) is int):
            return values
        return [self.node(value) for value in values]

    def _see(self, value: Any) -> None:
        if self._keep_identity and id(value) in self._seen:
            raise Unwritable(f"one {type(value).__name__} in two places")
        self._seen[id(value)] = value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._read = 0

    def value(self, node: Any) -> Any:
        """What was written as this node."""
        if isinstance(node, list):
            return node if set(map(type, node)) <= _ATOMS else [self.value(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return {key: self.value(each) for key, each in node.items()}
        if node["$"] == "bytes":
            return self._bytes(node["v"])
        return _kind_tagged(node["$"]).read(self.value(node["v"]))

    def _bytes(self, length: int) -> bytes:
        """The next ones: none is read twice, so that what is read is never larger than what came."""
        start, self._read = self._read, self._read + length
        if not start <= self._read <= len(self._data):
            raise ValueError("bytes are missing")
        return self._data[start : self._read]


def _write_moment(value: Any) -> List[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]


def _read_time(made: Callable[..., Any]) -> Callable[[List[Any]], Any]:
    return lambda parts: made(*parts[:-2], fold=parts[-2], tzinfo=parts[-1])


def _write_date(value: datetime.date) -> List[Any]:
    return [value.year, value.month, value.day]


_KINDS: Dict[type, Kind] = {
    int: Kind("int", hex, lambda text: int(text, 16)),
    tuple: Kind("tuple", list, tuple),
    dict: Kind("dict", lambda value: [list(value), list(value.values())], lambda parts: dict(zip(*parts))),
    set: Kind("set", list, set, _same_sets),
    frozenset: Kind("frozenset", list, frozenset, _same_sets),
    bytearray: Kind("bytearray", bytes, bytearray),
    complex: Kind("complex", lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    range: Kind("range", lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    slice: Kind("slice", lambda value: [value.start, value.stop, value.step], lambda parts: slice(*parts)),
    decimal.Decimal: Kind("decimal", str, decimal.Decimal),
    datetime.date: Kind("date", _write_date, lambda parts: datetime.date(*parts)),
    datetime.time: Kind("time", _write_moment, _read_time(datetime.time)),
    datetime.datetime: Kind(
        "datetime", lambda value: _write_date(value) + _write_moment(value), _read_time(datetime.datetime)
    ),
    datetime.timedelta: Kind(
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: datetime.timedelta(*parts),
    ),
    datetime.timezone: Kind(
        "timezone", lambda value: list(value.__getinitargs__()), lambda parts: datetime.timezone(*parts)
    ),
}
_TAGGED = {kind.tag: kind for kind in _KINDS.values()}
