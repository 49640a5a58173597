"""Who is let in, and what errors look like."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from runloop_local.app import error_response
from runloop_local.routes.wire import hold_seconds
from tests.contract.schema import operations
from tests.local.api import Api
from tests.local.serving import Service

LATER = [operation for operation in operations() if "ssh_key" in operation[1]]


@pytest.mark.parametrize("key", [None, "Bearer wrong", "Basic test-key", "Bearer", "Bearer test-keyx", "Bearer clé"])
async def test_without_the_key_nothing_is_answered(service: Service, key: str | None) -> None:
    headers = {b"x-request-id": b"mine"} | ({} if key is None else {b"authorization": key.encode()})
    async with httpx.AsyncClient(base_url=service.base_url) as client:
        answer = await client.get("/v1/accounts/me", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == answer.headers["x-runloop-error-code"] == "unauthorized"
    assert "RUNLOOP_API_KEY" in answer.json()["message"]
    assert answer.json()["request_id"] == answer.headers["x-runloop-request-id"] == "mine"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:{port}"},
        {"host": "localhost"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost:1"},
    ],
    ids=str,
)
async def test_foreign_pages_and_names_are_refused(api: Api, service: Service, headers: dict[str, str]) -> None:
    port = service.base_url.rpartition(":")[2]
    told = {name: value.format(port=port) for name, value in headers.items()}
    assert (await api.get("/v1/accounts/me", headers=told)).status_code == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST"])
async def test_own_names_are_let_in(api: Api, service: Service, name: str) -> None:
    own = f"{name}:{service.base_url.rpartition(':')[2]}"
    answer = await api.get("/v1/accounts/me", headers={"host": own, "origin": f"http://{own}"})
    assert answer.status_code == 200


async def test_oversized_json_is_refused(api: Api) -> None:
    answer = await api.post("/v1/devboxes", content=b'{"name": "' + b"a" * 9_000_000 + b'"}')
    assert answer.status_code == 413


async def test_oversized_json_of_unknown_length_is_refused(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"a" * 100_000

    assert (await api.post("/v1/devboxes", content=endless())).status_code == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b'{"name": 5}', b'{"metadata": {"a": 1}}', b"\xff"])
async def test_wrong_json_is_a_400_that_says_where(api: Api, body: bytes) -> None:
    answer = await api.post("/v1/devboxes", content=body)
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize(("method", "path", "operation"), LATER, ids=[operation for _, _, operation in LATER])
async def test_operations_of_later_are_501_with_their_name(api: Api, method: str, path: str, operation: str) -> None:
    answer = await api.request(method, path.replace("{id}", "x"))
    assert answer.status_code == 501
    assert answer.headers["x-should-retry"] == "false"
    assert operation in answer.json()["message"]


# What the official clients from 1.0 to 1.32 call, and the API no longer has.
REMOVED = {
    "agents": ("POST /v1/agents", "GET /v1/agents", "GET /v1/agents/list_public", "POST /v1/agents/agt_1/delete"),
    "benchmarks": ("GET /v1/benchmarks", "POST /v1/benchmarks/start_run", "GET /v1/benchmarks/b/definitions"),
    "benchmark_runs": ("GET /v1/benchmark_runs", "POST /v1/benchmark_runs/r/cancel"),
    "benchmark_jobs": ("POST /v1/benchmark_jobs", "GET /v1/benchmark_jobs/j"),
    "scenarios": ("GET /v1/scenarios", "POST /v1/scenarios/runs/r/score", "POST /v1/scenarios/s/archive"),
    "scenarios.scorers": ("GET /v1/scenarios/scorers", "POST /v1/scenarios/scorers/s"),
    "repositories": ("GET /v1/repositories", "POST /v1/repositories/r/inspect"),
    "blueprints.create_from_inspection": ("POST /v1/blueprints/create_from_inspection",),
    "devboxes.browsers": ("POST /v1/devboxes/browsers", "GET /v1/devboxes/browsers/b"),
    "devboxes.computers": ("POST /v1/devboxes/computers", "POST /v1/devboxes/computers/c/mouse_interaction"),
    "devboxes.create_tunnel": ("POST /v1/devboxes/d/create_tunnel",),
}


@pytest.mark.parametrize(
    ("name", "call"), [(name, call) for name, calls in REMOVED.items() for call in calls], ids=lambda value: value
)
async def test_what_the_api_had_is_501_by_name(api: Api, name: str, call: str) -> None:
    method, path = call.split()
    answer = await api.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 501
    assert answer.headers["x-should-retry"] == "false"
    assert f" {name} " in answer.json()["message"]


RETRIED = {500: False, 501: False, 503: True, 507: False}


@pytest.mark.parametrize("status", RETRIED)
def test_the_head_of_an_error_says_as_its_body_whether_to_try_again(status: int) -> None:
    answer = error_response(status, "code", "Sentence.", "req_1")
    said = answer.headers.get("x-should-retry")
    assert (said != "false", json.loads(bytes(answer.body))["retryable"]) == (RETRIED[status], RETRIED[status])


@pytest.mark.parametrize(("asked", "held"), [(None, 25), (30.0, 25), (25.5, 25), (1.5, 1.5), (0.0, 0), (-1.0, 0)])
def test_no_wait_is_held_longer_than_clients_wait(asked: float | None, held: float) -> None:
    assert hold_seconds(asked) == held


async def test_every_operation_of_the_api_is_known(api: Api) -> None:
    for method, path, operation in operations():
        address = path.replace("{", "").replace("}", "")
        async with api.stream(method, address, json={}) as answer:
            if "event-stream" in answer.headers.get("content-type", ""):
                continue  # it may have no end
            await answer.aread()
        unknown = answer.status_code in (404, 405) and answer.json()["error"] == "http_error"
        assert not unknown, operation
        if answer.status_code == 501:
            assert operation in answer.json()["message"]


async def test_an_unknown_address_is_a_404(api: Api) -> None:
    assert (await api.get("/v1/nothing")).status_code == 404


async def test_account(api: Api) -> None:
    assert (await api.json("/v1/accounts/me"))["account_status"] == "ACCOUNT_STATUS_ENABLED"
