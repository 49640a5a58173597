"""Numbers and booleans that a request writes as other JSON: `"5"`, `5.0` or `true` for a number, `"yes"` for a boolean.

Clients send such values, and the API has always taken them. What stands for no such value is left as it is.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

from msgspec import inspect as types

_INT64 = 2**63
_INTEGER = re.compile(r"([+-]?\d+(?:_\d+)*)(?:\.0+)?", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SEPARATED = re.compile(r"[^_](?:_?[^_])*")
_BOOLEANS = dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True) | dict.fromkeys(
    ("0", "off", "f", "false", "n", "no"), False
)


def lenient(value: Any, kind: types.Type) -> Any:
    """Replace what stands for numbers and booleans in decoded JSON by these, where its type asks for one."""
    match kind:
        case types.UnionType():
            return value if value is None else lenient(value, _member(kind, value))
        case types.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            return {name: lenient(each, fields[name]) if name in fields else each for name, each in value.items()}
        case types.ListType() if isinstance(value, list):
            return [lenient(each, kind.item_type) for each in value]
        case types.IntType():
            return _integer(value)
        case types.FloatType():
            return _float(value)
        case types.BoolType():
            return _boolean(value)
    return value


def _member(union: types.UnionType, value: Any) -> types.Type:
    """The type in a union that a value is meant for: that of its tag, or the only one besides null."""
    members = [member for member in union.types if not isinstance(member, types.NoneType)]
    given = value if isinstance(value, dict) else {}
    for member in members:
        if isinstance(member, types.StructType) and member.tag_field and given.get(member.tag_field) == member.tag:
            return member
    return members[0] if len(members) == 1 else types.AnyType()


def _integer(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    if isinstance(value, str) and (found := _INTEGER.fullmatch(value.strip())):
        with suppress(ValueError):  # more digits than Python converts
            return int(found[1])
    return value


def _float(value: Any) -> Any:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.replace("_", "") if "_" in value and _SEPARATED.fullmatch(value) else value.strip()
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return value


def _boolean(value: Any) -> Any:
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value
