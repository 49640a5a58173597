"""Who is let in, and what errors look like."""

import httpx
import pytest

from tests.contract.schema import operations
from tests.local.api import Api
from tests.local.serving import Service

LATER = [operation for operation in operations() if "ssh_key" in operation[1]]


@pytest.mark.parametrize("key", [None, "Bearer wrong", "Basic test-key", "Bearer", "Bearer test-keyx", "Bearer clé"])
async def test_without_the_key_nothing_is_answered(service: Service, key: str | None) -> None:
    headers = {} if key is None else {"authorization": key.encode()}
    async with httpx.AsyncClient(base_url=service.base_url) as client:
        answer = await client.get("/v1/accounts/me", headers={**headers, "x-request-id": "mine"})
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
    async def endless():
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
    assert operation in answer.json()["message"]


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
