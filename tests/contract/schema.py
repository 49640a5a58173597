"""Checks answers against the public description of the REST API, `openapi.json` beside this file."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

_OPENAPI: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text())
# The description names a part of these bodies where the whole is meant.
_MEANT = {
    "Gateways": _OPENAPI["components"]["schemas"]["DevboxCreateParams"],
    "BuildContext": _OPENAPI["components"]["schemas"]["BlueprintCreateParams"],
    "Service": _OPENAPI["components"]["schemas"]["BlueprintCreateParams"],
}
_ERROR = {
    "type": "object",
    "required": ["error", "message", "request_id"],
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}, "retryable": {"type": "boolean"}},
}


def operations() -> list[tuple[str, str, str]]:
    """(method, path, operation) of the whole API."""
    return [
        (method.upper(), path, described["operationId"])
        for path, methods in _OPENAPI["paths"].items()
        for method, described in methods.items()
    ]


def check(response: httpx.Response) -> None:
    """Fail unless a JSON answer is what the description says."""
    if "json" in response.headers.get("content-type", ""):
        check_answer(response.request.method, response.request.url.path, response.status_code, response.json())


def check_answer(method: str, path: str, status: int, body: Any) -> None:
    """Fail unless the body is what the description says."""
    schema = _ERROR if status >= 400 else _success(method, path)
    if schema is not None:
        validator = Draft202012Validator({**schema, "components": _OPENAPI["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
        assert not errors, f"{method} {path}: {errors}"


def operation_at(method: str, path: str) -> str:
    """The operation that a request asked for."""
    described = _described(method, path)
    assert described is not None, f"{method} {path} is no operation"
    return str(described["operationId"])


def _success(method: str, path: str) -> dict[str, Any] | None:
    described = _described(method, path)
    schema: dict[str, Any] | None = (
        None if described is None else described["responses"]["200"]["content"]["application/json"]["schema"]
    )
    return schema


def _described(method: str, path: str) -> dict[str, Any] | None:
    fitting = [template for template in _OPENAPI["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)]
    for template in sorted(fitting, key=lambda template: template.count("{")):
        if method.lower() in _OPENAPI["paths"][template]:
            described: dict[str, Any] = _OPENAPI["paths"][template][method.lower()]
            return described
    return None


def body_schema(method: str, path: str) -> dict[str, Any] | None:
    """What the JSON body of an operation holds, as one object of properties; None for an operation without one."""
    described = _OPENAPI["paths"][path][method.lower()]
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return _merged(_MEANT.get((content["schema"].get("$ref") or "").rpartition("/")[2], content["schema"]))


def types_of(schema: dict[str, Any]) -> set[str]:
    """The JSON types that a value may have."""
    if "$ref" in schema:
        return types_of(_OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    kinds = {schema["type"]} if "type" in schema else set()
    for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        kinds |= types_of(part)
    return kinds


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references followed, and what it is put together of in one object."""
    if "$ref" in schema:
        return _merged(_OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    merged = {**schema, "properties": dict(schema.get("properties", {}))}
    for part in schema.get("allOf", ()):
        merged["properties"] |= _merged(part)["properties"]
    return merged
