"""Bodies of requests: what stands for a number or a boolean is taken, and what is wrong is told with its place."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from msgspec.inspect import type_info
from pydantic import TypeAdapter

from runloop_local.engine.errors import InvalidError
from runloop_local.routes.blueprints import Create as CreateBlueprint
from runloop_local.routes.body import Body, parse_body
from runloop_local.routes.devboxes import Create
from runloop_local.routes.lenient import lenient
from runloop_local.routes.upstreams import GatewayCreate

TEXTS = (
    *("5", " 5 ", "\t5\n", "5.0", "5.", "5.00", "05", "+5", "-5", "--5", "1_000", "1__0", "_1", "1_", "1_0.0", "5._0"),
    *("0", "-0", "1e3", "1E-3", "1e1_0", ".5", "5.5", "-.5", "5.5.", "", " ", ".", "+", "e5", "1e", "0x10", "5 5"),
    *("inf", "nan", "Infinity", "1e400", "1.5_0", "1_.5", "\u0665", "²", "5\u00a0", "9" * 19, "9" * 40, "9" * 5000),
    *("yes", "YES", "y", "t", "True", " true", "on", "OFF", "no", "n", "f", "false", "1", "1.0", "2", "null", "x"),
)
VALUES: tuple[Any, ...] = (
    *(True, False, None, 0, 1, -1, 2, 2**63, 10**30, 0.0, -0.0, 1.0, 1.5, 1e18, 9.3e18, 1e300, [], {}, [1], {"a": 1}),
    *TEXTS,
)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_numbers_and_booleans_are_taken_as_pydantic_takes_them(kind: type[Any]) -> None:
    """Bodies were pydantic's models once, and clients count on what these took."""
    texts = [json.dumps(value) for value in VALUES]
    taken = [by_pydantic(kind, text) for text in texts]
    assert len(set(taken)) > 2
    assert dict(zip(texts, [ours(kind, text) for text in texts], strict=True)) == dict(zip(texts, taken, strict=True))


def by_pydantic(kind: type[Any], text: str) -> str | None:
    try:
        found = TypeAdapter(kind).validate_json(text)
    except ValueError:
        return None
    return repr(found) if math.isfinite(found) else None


def ours(kind: type[Any], text: str) -> str | None:
    try:
        return repr(msgspec.convert(lenient(json.loads(text), type_info(kind)), kind))
    except msgspec.ValidationError:
        return None


def test_they_are_taken_wherever_they_are() -> None:
    sent = {
        "launch_parameters": {
            "available_ports": ["80", 81.0],
            "after_idle": {"idle_time_seconds": "5", "on_idle": "suspend"},
        },
        "tunnel": {"http_keep_alive": "no"},
        "mounts": [{"type": "file_mount", "target": "/a", "content": "5"}],
        "gateways": {"a": "5"},
    }
    body = parse_body(json.dumps(sent).encode(), Create)
    assert body.launch_parameters is not None
    assert body.launch_parameters.given() == {
        "available_ports": [80, 81],
        "after_idle": {"idle_time_seconds": 5, "on_idle": "suspend"},
    }
    assert body.given()["tunnel"] == {"http_keep_alive": False}
    assert body.given()["gateways"] == {"a": "5"}


@pytest.mark.parametrize(
    ("kind", "sent", "sentence"),
    [
        (Create, b"[]", "the body: Expected `object`, got `array`."),
        (Create, b"{", "the body: Input data was truncated."),
        (Create, b'{"name": "\\ud800"}', "the body: a string has half of a surrogate pair."),
        (Create, b'{"x": "\xff"}', "the body: byte 7 is not UTF-8."),
        (Create, b'{"gateways": {"a":' + b"[" * 100_000, "the body: it is nested too deeply."),
        (Create, b'{"name": 5}', "name: Expected `str | null`, got `int`."),
        (Create, b'{"metadata": {"a": 5}}', "metadata.*: Expected `str`, got `int`."),
        (Create, b'{"mounts": [{"type": "file_mount", "target": "/a"}]}', "mounts.0.content: Field required."),
        (Create, b'{"mounts": [{}]}', "mounts.0.type: Field required."),
        (
            Create,
            b'{"launch_parameters": {"keep_alive_time_seconds": "-5"}}',
            "launch_parameters.keep_alive_time_seconds: Expected `int` >= 1.",
        ),
        (
            Create,
            b'{"launch_parameters": {"available_ports": [80, "x"]}}',
            "launch_parameters.available_ports.1: Expected `int`, got `str`.",
        ),
        (
            Create,
            b'{"tunnel": {"auth_mode": "shut"}}',
            "tunnel.auth_mode: Invalid enum value 'shut'; it is one of 'authenticated', 'open'.",
        ),
        (
            Create,
            b'{"mounts": [{"type": "u"}]}',
            "mounts.0.type: Invalid value 'u'; it is one of 'code_mount', 'file_mount', 'object_mount', "
            "'broker_mount', 'agent_mount'.",
        ),
        (
            CreateBlueprint,
            b'{"name": "a\\n"}',
            "name: Expected `str` matching regex '^[A-Za-z0-9][^\\\\s/\\\\\\\\]{0,254}\\\\Z'.",
        ),
        (
            GatewayCreate,
            b'{"name": "g", "endpoint": "ftp://x", "auth_mechanism": {"type": "bearer"}}',
            "the body: endpoint must be an http or https URL.",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(kind: type[Body], sent: bytes, sentence: str) -> None:
    with pytest.raises(InvalidError) as told:
        parse_body(sent, kind)
    assert str(told.value) == sentence


def test_a_body_shows_none_of_its_secrets() -> None:
    body = parse_body(
        b'{"mounts": [{"type": "code_mount", "repo_owner": "o", "repo_name": "n", "token": "hush"}]}', Create
    )
    assert "hush" not in f"{body!r} {body.mounts!r}"
