"""Generates JSON from the API's schema at random, and puts odd values into it."""

from __future__ import annotations

import json
import random
from typing import Any

from runloop_local.engine.build.origins import STARTER

DEPTH = 60_000
ODD: tuple[str, ...] = (
    "null", "true", "false", "0", "-0", "-1", "1", "1.5", "0.1", "1e3", "1e308", "-1e308", "1e309", "1e-400",
    "NaN", "Infinity", "-Infinity", "2147483647", "2147483648", "-2147483649", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "1" + "0" * 400, "1" * 5000, "01", "+1", ".5", "0x10",
    '""', '" "', '"x"', '"-1"', '"1"', '"1e308"', '"true"', '"null"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"',
    '"\\udfff\\ud800"', '"\\u202e"', '"\\ufeff"', '"🜁藍"', '"\\n"', '"\\r\\n\\r\\n"', '"\x01"', '"\\x"', "'x'",
    '"../../etc/passwd"', '"/etc/shadow"', '"~"', '"%00"', '"%s%n"', "\"'; DROP TABLE documents; --\"",
    '"$(id)"', '"{{x}}"', '"*"', '"' + "a" * 300 + '"', '"' + "x" * 100_000 + '"', '"' + "藍" * 20_000 + '"',
    "[]", "[[]]", "[null]", "[{}]", "[1, 2, 3]", '["x"]', "[" + ", ".join(['"x"'] * 2000) + "]",
    "{}", '{"": ""}', '{"a": {}}', '{"a": null}', '{"\\u0000": 1}', '{"\\ud800": "x"}',
    '{"a": 1, "a": 2}', '{"' + "k" * 1000 + '": "' + "v" * 10_000 + '"}',
    "[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200, "[" * DEPTH, "[" * DEPTH + "]" * DEPTH, "",
)  # fmt: skip
"""Unusual values, as JSON text or almost JSON."""
LEFT_OUT = frozenset({"code_mounts", "services"})
"""Fields that would make the service or a devbox contact other machines."""
_STRINGS = (
    "",
    "x",
    "name",
    "a b",
    "grün",
    "2026-01-01",
    "/home/user/f",
    "echo $HOME",
    f"FROM {STARTER}\nRUN true\n",
)
_DEEP = 5


class Description:
    """Generates values from the API's schema."""

    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components

    def value(self, schema: dict[str, Any], order: random.Random, depth: int = 0) -> Any:
        """A valid value, with some of the optional fields."""
        schema = self._chosen(schema, order)
        if "enum" in schema:
            return order.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if kind == "object":
            return self._object(schema, order, depth)
        if kind == "array":
            items = schema.get("items", {})
            return [self.value(items, order, depth + 1) for _ in range(order.randrange(3))] if depth < _DEEP else []
        return _scalar(kind, order)

    def _object(self, schema: dict[str, Any], order: random.Random, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        often = 0.25 if depth < _DEEP else 0.0
        found = {
            name: self.value(described, order, depth + 1)
            for name, described in schema.get("properties", {}).items()
            if name not in LEFT_OUT and (name in required or order.random() < often)
        }
        if isinstance(schema.get("additionalProperties"), dict) and depth < _DEEP and order.random() < 0.5:
            found[order.choice(_STRINGS)] = self.value(schema["additionalProperties"], order, depth + 1)
        return found

    def _chosen(self, schema: dict[str, Any], order: random.Random) -> dict[str, Any]:
        """Resolve the references of a schema, and choose one of its alternatives."""
        while True:
            if "$ref" in schema:
                schema = self._components[schema["$ref"].rpartition("/")[2]]
            elif options := schema.get("anyOf") or schema.get("oneOf"):
                schema = order.choice(options)
            elif "allOf" in schema:
                parts = [self._chosen(part, order) for part in schema["allOf"]]
                rest = {name: value for name, value in schema.items() if name != "allOf"}
                properties = {name: value for part in parts for name, value in part.get("properties", {}).items()}
                schema = {**parts[0], **rest, "properties": {**properties, **schema.get("properties", {})}}
            else:
                return schema


def _scalar(kind: str, order: random.Random) -> Any:
    if kind == "integer":
        return order.choice((0, 1, 2, 60, 3600))
    if kind == "number":
        return order.choice((0.0, 0.1, 1.0))
    if kind == "boolean":
        return order.random() < 0.5
    return None if kind == "null" else order.choice(_STRINGS)


def spoiled(value: Any, order: random.Random, times: int) -> str:
    """The JSON of a value with this number of odd values in it."""
    odd: list[str] = []
    for _ in range(times):
        value = _with_odd(value, order, odd)
    text = json.dumps(value, ensure_ascii=order.random() < 0.5)
    for number, literal in enumerate(odd):
        text = text.replace(f'"@odd{number}@"', literal, 1)
    return text


def _with_odd(value: Any, order: random.Random, odd: list[str]) -> Any:
    if isinstance(value, dict) and value and order.random() < 0.85:
        name = order.choice(list(value))
        kind = order.random()
        if kind < 0.1:
            return {key: kept for key, kept in value.items() if key != name}
        if kind < 0.2:
            return {**value, order.choice(("extra", "", name.upper(), "@odd")): _literal(order, odd)}
        return {**value, name: _with_odd(value[name], order, odd)}
    if isinstance(value, list) and value and order.random() < 0.7:
        at = order.randrange(len(value))
        return [*value[:at], _with_odd(value[at], order, odd), *value[at + 1 :]]
    return _literal(order, odd)


def _literal(order: random.Random, odd: list[str]) -> str:
    odd.append(order.choice(ODD))
    return f"@odd{len(odd) - 1}@"
