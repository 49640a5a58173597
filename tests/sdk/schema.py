"""The public schema of the API, and values that fit it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

OPENAPI = json.loads((Path(__file__).parent.parent / "contract" / "openapi.json").read_text())
SCHEMAS: dict[str, Any] = OPENAPI["components"]["schemas"]

# The schema names a nested shape as the body of these operations.
BODIES = {
    "devboxes.create": "DevboxCreateParams",
    "devboxes.create_and_await_running": "DevboxCreateParams",
    "blueprints.create": "BlueprintCreateParams",
    "blueprints.preview": "BlueprintPreviewParams",
}
# Listed among the body's fields, sent in the query.
IN_QUERY = {
    "devboxes.execute": {"last_n"},
    "devboxes.wait_for_command": {"last_n"},
    "devboxes.shutdown": {"force"},
}
SCALARS: dict[str | None, Any] = {"string": "text", "integer": 7, "number": 1.5, "boolean": True}
"""A value of each type without parts."""
IN_BRACKETS = {"metadata_key": "metadata[key]", "metadata_key_in": "metadata[key][in]"}


@dataclass(frozen=True)
class Operation:
    """One operation; its id is also where the client has it."""

    id: str
    method: str
    path: str
    spec: dict[str, Any]

    @property
    def path_names(self) -> list[str]:
        return [p["name"] for p in self.spec.get("parameters", ()) if p["in"] == "path"]

    @cached_property
    def query(self) -> dict[str, Any]:
        """Query parameters by name, each with its schema."""
        named = {p["name"]: p["schema"] for p in self.spec.get("parameters", ()) if p["in"] == "query"}
        return named | {n: s for n, s in self._body["properties"].items() if n in IN_QUERY.get(self.id, ())}

    @cached_property
    def body(self) -> dict[str, Any]:
        """Fields of the body by name, each with its schema."""
        return {n: s for n, s in self._body["properties"].items() if n not in self.query}

    @property
    def required(self) -> set[str]:
        return set(self._body.get("required", ()))

    @property
    def has_body(self) -> bool:
        return "requestBody" in self.spec and bool(self.body)

    @cached_property
    def _body(self) -> dict[str, Any]:
        content = self.spec.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] = next((c["schema"] for c in content.values()), {"properties": {}})
        return SCHEMAS[BODIES[self.id]] if self.id in BODIES else resolved(schema)

    @property
    def answer(self) -> tuple[str, dict[str, Any]]:
        """The media type and the schema of what it answers."""
        ((media, content),) = self.spec["responses"]["200"]["content"].items()
        return media, content.get("schema", {})


def operations() -> list[Operation]:
    return [
        Operation(spec["operationId"], method.upper(), path, spec)
        for path, methods in OPENAPI["paths"].items()
        for method, spec in methods.items()
    ]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself where there is a reference to one."""
    return SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def name_of(schema: dict[str, Any]) -> str | None:
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def options_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, null aside."""
    return [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]


def enum_of(schema: dict[str, Any]) -> list[str]:
    """The values that a schema lists, for itself or for the items of a list."""
    (option, *_) = options_of(schema)
    return option.get("enum") or (enum_of(option["items"]) if option.get("items") else [])


def literals_in(hint: Any) -> set[str]:
    """All values of all literals in a type; of a union with `str` too."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return {value for argument in get_args(hint) for value in literals_in(argument)}


def full(schema: dict[str, Any], *, unknown: bool = False) -> Any:
    """A value with every field; `unknown` adds a field everywhere, and makes enums say what no version knows."""
    option = resolved(options_of(schema)[0])
    if "enum" in option:
        return "of_tomorrow" if unknown else option["enum"][-1]
    if "const" in option:
        return option["const"]
    match option.get("type"):
        case "object":
            return _object(option, unknown)
        case "array":
            return [full(option["items"], unknown=unknown)]
        case kind:
            return SCALARS.get(kind, 5)


def _object(schema: dict[str, Any], unknown: bool) -> dict[str, Any]:
    fields = {name: full(field, unknown=unknown) for name, field in schema.get("properties", {}).items()}
    if "additionalProperties" in schema:
        return {"some_key": full(schema["additionalProperties"], unknown=unknown)}
    return fields | ({"of_tomorrow": {"nested": [1]}} if unknown else {})


def minimal(schema: dict[str, Any]) -> Any:
    """A value with the required fields alone."""
    option = resolved(options_of(schema)[0])
    if option.get("type") == "object":
        properties = option.get("properties", {})
        return {name: minimal(properties[name]) for name in option.get("required", ())}
    return [] if option.get("type") == "array" else full(option)


def reachable_views() -> Iterator[str]:
    """The names of all schemas that answers are made of."""
    seen: set[str] = set()
    waiting = [operation.answer[1] for operation in operations()]
    while waiting:
        schema = waiting.pop()
        if name := name_of(schema):
            if name in seen:
                continue
            seen.add(name)
            yield name
            schema = SCHEMAS[name]
        waiting += [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
        waiting += [schema[key] for key in ("items", "additionalProperties") if key in schema]
