"""Checks answers against the public description of the REST API, `openapi.json` beside this file."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

_OPENAPI: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text())
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
    if "json" not in response.headers.get("content-type", ""):
        return
    schema = _ERROR if response.is_error else _success(response.request.method, response.request.url.path)
    if schema is not None:
        validator = Draft202012Validator({**schema, "components": _OPENAPI["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not errors, f"{response.request.method} {response.request.url.path}: {errors}"


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
