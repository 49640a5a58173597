"""Every operation of the public schema: the request that its method sends, and the answers that it takes."""

import inspect
import json
import typing
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, get_origin

import httpx
import pytest
from pydantic import BaseModel

import runloop_sdk.params
from runloop_sdk._config import resolve_config
from runloop_sdk._event_stream import EventStream
from runloop_sdk._pagination import Page
from runloop_sdk._transport import Transport
from runloop_sdk.api._client import AsyncRunloopAPI
from runloop_sdk.params._options import OPTION_NAMES
from tests.sdk.schema import IN_BRACKETS, Operation, enum_of, full, literals_in, minimal, operations, resolved

OPERATIONS = operations()
BY_ID = {operation.id: operation for operation in OPERATIONS}
FILE = "devboxes.upload_file"
# What the schema requires and the client adds when it is not given.
ADDED = {"devboxes.execute": {"command_id"}}

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
with_a_view = pytest.mark.parametrize(
    "operation",
    [o for o in OPERATIONS if o.answer[0] != "text/plain" and o.answer[1]],
    ids=lambda operation: operation.id,
)
promising_nothing = pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o.answer == ("application/json", {})], ids=lambda operation: operation.id
)


class Wire:
    """Answers each request with the same, and keeps the requests."""

    def __init__(self, answer: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer

    @property
    def api(self) -> AsyncRunloopAPI:
        config = resolve_config(bearer_token="key", base_url="http://api.test", environ={})
        return AsyncRunloopAPI(Transport(config, httpx.AsyncClient(transport=httpx.MockTransport(self))))


def answering(operation: Operation, value: Any) -> Wire:
    if operation.answer[0] == "text/event-stream":
        frames = f": ping\n\ndata: {json.dumps(value)}\n\n"
        return Wire(httpx.Response(200, text=frames, headers={"content-type": "text/event-stream"}))
    return Wire(httpx.Response(200, json=value))


async def call(api: AsyncRunloopAPI, operation: Operation, **values: Any) -> Any:
    """What the operation's method gives; of a list its first page, of a stream its events."""
    others = operation.path_names[:-1]
    ids = ["an/id"] if operation.path_names else []
    answer = await attrgetter(operation.id)(api)(*ids, **dict.fromkeys(others, "box"), **values)
    return [event async for event in answer] if isinstance(answer, EventStream) else answer


def filled(operation: Operation) -> str:
    """The raw path that the call above asks for."""
    *others, last = operation.path_names or [""]
    path = operation.path.replace(f"{{{last}}}", "an%2Fid")
    return path.format(**dict.fromkeys(others, "box"))


def sent_query(values: dict[str, Any]) -> dict[str, str]:
    return {IN_BRACKETS.get(name, name): json.dumps(v) if not isinstance(v, str) else v for name, v in values.items()}


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content) if request.content else None


def test_schema_has_ninety_operations() -> None:
    assert len(OPERATIONS) == len(BY_ID) == 90


@every_operation
async def test_all_parameters_arrive_where_the_schema_has_them(operation: Operation) -> None:
    wire = answering(operation, minimal(operation.answer[1]))
    query = {name: full(schema) for name, schema in operation.query.items()}
    body = {name: full(schema) for name, schema in operation.body.items()}
    sent = body | ({"file": b"text"} if operation.id == FILE else {})
    await call(wire.api, operation, **query, **sent)
    (request,) = wire.requests
    assert (request.method, request.url.raw_path.partition(b"?")[0].decode()) == (operation.method, filled(operation))
    assert dict(request.url.params) == sent_query(query)
    assert operation.id == FILE or body_of(request) == (body if operation.has_body else None)
    assert request.headers["authorization"] == "Bearer key"


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.id != FILE], ids=lambda operation: operation.id)
async def test_what_is_not_given_or_none_is_not_sent(operation: Operation) -> None:
    wire = answering(operation, minimal(operation.answer[1]))
    added = ADDED.get(operation.id, set())
    given = {name: full(operation.body[name]) for name in operation.required - added}
    nothing = dict.fromkeys((operation.query.keys() | operation.body.keys()) - given.keys())
    await call(wire.api, operation, **given)
    await call(wire.api, operation, **given, **nothing)
    for request in wire.requests:
        assert not request.url.params
        body = body_of(request)
        assert {n: v for n, v in (body or {}).items() if n not in added} == given
        assert (body is not None) == operation.has_body


def params_of(method: Callable[..., Any]) -> dict[str, Any]:
    """The keywords of a method with their types, from its own signature and from its TypedDict."""
    names: dict[str, Any] = {}
    for file in Path(runloop_sdk.params.__path__[0]).glob("*.py"):
        names |= vars(import_module(f"runloop_sdk.params.{file.stem}"))
    (unpacked,) = [p.annotation for p in inspect.signature(method).parameters.values() if p.kind is p.VAR_KEYWORD]
    return typing.get_type_hints(names[unpacked.removeprefix("Unpack[").removesuffix("]")], include_extras=True)


@every_operation
def test_keywords_are_typed_as_the_schema_has_them(operation: Operation) -> None:
    hints = params_of(attrgetter(operation.id)(Wire(httpx.Response(200)).api))
    schemas = operation.query | operation.body
    assert schemas.keys() <= hints.keys()
    required = {name for name, hint in hints.items() if get_origin(hint) is typing.Required}
    assert required == operation.required - ADDED.get(operation.id, set())
    for name, schema in schemas.items():
        assert literals_in(hints[name]) == set(enum_of(schema)) or not enum_of(schema), name
    assert {"extra_headers", "extra_query", "extra_body", "timeout"} <= hints.keys()
    assert ("idempotency_key" in hints) == bool(operation.spec.get("x-idempotent"))


def as_json(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json", exclude_unset=True)
    return [as_json(item) for item in answer]


@with_a_view
@pytest.mark.parametrize("kind", ["minimal", "full", "of a later version"])
async def test_answers_are_taken_whole(operation: Operation, kind: str) -> None:
    schema = operation.answer[1]
    value = minimal(schema) if kind == "minimal" else full(schema, unknown=kind == "of a later version")
    given = {name: full(operation.body[name]) for name in operation.required}
    answer = await call(answering(operation, value).api, operation, **given)
    if isinstance(answer, Page):
        assert as_json(answer) == value.get(key_of_items(schema), [])
        assert (answer.has_more, answer.total_count) == (value.get("has_more", False), value.get("total_count"))
    else:
        assert as_json(answer) == ([value] if isinstance(answer, list) else value)


def key_of_items(schema: dict[str, Any]) -> str:
    properties: dict[str, dict[str, Any]] = resolved(schema)["properties"]
    (name,) = [name for name, field in properties.items() if field.get("type") == "array"]
    return name


async def test_files_are_text_or_bytes() -> None:
    wire = Wire(httpx.Response(200, content="grün\n".encode()))
    assert await wire.api.devboxes.read_file_contents("box", file_path="a") == "grün\n"
    assert await wire.api.devboxes.download_file("box", path="a") == "grün\n".encode()
    async with wire.api.devboxes.download_file_stream("box", path="a") as pieces:
        assert b"".join([piece async for piece in pieces]) == "grün\n".encode()
    assert [r.headers["accept"] for r in wire.requests] == ["text/plain", *["application/octet-stream"] * 2]


@promising_nothing
@pytest.mark.parametrize("answer", [b"", b"{}", b"null", b"done"], ids=["nothing", "object", "null", "text"])
async def test_operations_without_an_answer_take_any(operation: Operation, answer: bytes) -> None:
    wire = Wire(httpx.Response(200, content=answer))
    await call(wire.api, operation, **({"path": "a", "file": b""} if operation.id == FILE else {}))
    assert len(wire.requests) == 1


def test_option_names_are_no_parameters() -> None:
    taken = {name for o in OPERATIONS for name in [*o.query, *o.body]}
    assert not taken & OPTION_NAMES
