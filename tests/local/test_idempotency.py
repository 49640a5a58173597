"""Once is once: each route that makes or changes something, asked twice at once, again, and after a kill."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from runloop_local.routes import all_routes
from runloop_local.routes.idempotency import rule_of
from runloop_local.routes.unserved import LITERAL_ROUTES, REMOVED_ROUTES
from tests.local.api import Api, connect
from tests.local.retried import CASES, Count, Retried
from tests.local.serving import Service, serving
from tests.starter import FROM
from tests.waiting import until

AT_ONCE = 8
PAIRS = 25
CONTROL = "/pty/{session_name}/control"
REFUSED = {"create_ssh_key", "create_tunnel", "create_gateway_token", "create_mcp_token"}
"""What this service does not have."""
MADE = {"id", "execution_id", "tunnel_key", "sequence", "key_secret"}
"""What tells one thing that was made from another."""
every_case = pytest.mark.parametrize("route", CASES, ids=" ".join)


def changing() -> set[tuple[str, str]]:
    """The routes whose requests are remembered."""
    removed = {route.path for route in (*LITERAL_ROUTES, *REMOVED_ROUTES)}  # nothing is done there
    found = {(method, route.path) for route in all_routes() for method in route.methods or ()}
    return {(method, path) for method, path in found if path not in removed and rule_of(method, path) is not None}


def test_every_route_that_makes_or_changes_something_has_a_case() -> None:
    refused = {route for route in changing() if route[1].rpartition("/")[2] in REFUSED}
    assert len(refused) == len(REFUSED)
    assert changing() - refused == set(CASES)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_a_new_route_is_remembered_without_a_word(method: str) -> None:
    rule = rule_of(method, "/v1/something/{id}/new")
    assert rule is not None
    assert rule.outlives


def test_what_reads_is_not_remembered() -> None:
    reading = ("wait_for_status", "executions/{id}/wait_for_status", "read_file_contents", "download_file")
    assert {rule_of("POST", f"/v1/devboxes/{{id}}/{name}") for name in reading} == {None}
    assert rule_of("POST", "/v1/blueprints/preview") is None
    assert {rule_of(method, "/v1/x") for method in ("GET", "HEAD")} == {None}


def equal(answers: list[httpx.Response]) -> httpx.Response:
    """One of them, all of which are the same success."""
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    return answers[0]


def made(reply: Any) -> dict[str, Any]:
    """What tells what a reply is about."""
    return {name: value for name, value in reply.items() if name in MADE and value is not None}


@every_case
async def test_a_request_that_comes_twice_is_carried_out_once(api: Api, route: tuple[str, str]) -> None:
    asked, mark = await CASES[route](api), str(uuid.uuid4())
    before = await asked.count(api) if asked.count else 0
    first = equal(await asyncio.gather(*(asked.send(api, mark) for _ in range(AT_ONCE))))
    equal([first, await asked.send(api, mark)])
    if asked.count:
        await counts(api, asked.count, before + 1)
    equal([first, await asked.send(api, mark)])
    other = await asked.send(api, str(uuid.uuid4()))
    assert other.status_code == asked.afterwards, other.text
    if asked.count and asked.afterwards == 200 and route[1] != "/v1/devboxes/{id}/shutdown":
        await counts(api, asked.count, before + 2)
    await clear(api)


async def counts(api: Api, count: Count, wanted: int) -> None:
    """There are so many, once what was begun has been done."""

    async def are_enough() -> bool:
        return await count(api) >= wanted

    await until(are_enough, f"{wanted} of them")
    assert await count(api) == wanted


async def clear(api: Api) -> None:
    for view in (await api.json("/v1/devboxes?limit=5000"))["devboxes"]:
        if view["status"] not in ("shutdown", "failure"):
            await api.json(f"/v1/devboxes/{view['id']}/shutdown?force=true", {})


CREATE = [
    ("/v1/blueprints", {"dockerfile": f"{FROM}\n"}),
    ("/v1/axons", {}),
    ("/v1/network-policies", {}),
    ("/v1/gateway-configs", {"endpoint": "https://example.com", "auth_mechanism": {"type": "bearer"}}),
    ("/v1/secrets", {"value": "hidden"}),
    ("/v1/apikeys", {}),
    ("/v1/objects", {"content_type": "text"}),
]


@pytest.mark.parametrize(("path", "body"), CREATE, ids=[path for path, _ in CREATE])
async def test_pairs_at_once_make_one_each(api: Api, path: str, body: dict[str, Any]) -> None:
    marks = [uuid.uuid4().hex for _ in range(PAIRS)]

    async def send(mark: str) -> Any:
        return await api.json(path, {"name": f"N{mark}", **body}, headers={"x-request-id": mark})

    pairs = await asyncio.gather(*(asyncio.gather(send(mark), send(mark)) for mark in marks))
    assert all(first == second for first, second in pairs)
    assert len({first["id"] for first, _ in pairs}) == PAIRS


async def test_pairs_of_commands_at_once_run_one_each(api: Api, devbox: str) -> None:
    path = f"/v1/devboxes/{devbox}/execute_async"

    async def send(number: int) -> Any:
        headers = {"x-request-id": f"{devbox}-{number}"}
        return await api.json(path, {"command": f"echo {number} >> ran"}, headers=headers)

    pairs = await asyncio.gather(*(asyncio.gather(send(number), send(number)) for number in range(PAIRS)))
    assert all(first["execution_id"] == second["execution_id"] for first, second in pairs)
    for first, _ in pairs:
        await api.finish(f"/v1/devboxes/{devbox}/executions/{first['execution_id']}")
    ran = (await api.execute(devbox, "sort -n ran"))["stdout"]
    assert ran == "".join(f"{number}\n" for number in range(PAIRS))


async def test_the_first_goes_on_without_its_client_and_a_retry_joins_it(
    api: Api, devbox: str, service: Service
) -> None:
    path, headers = f"/v1/devboxes/{devbox}/execute_sync", {"x-request-id": str(uuid.uuid4())}
    body = {"command": "echo x >> ran; until [ -e go ]; do sleep 0.02; done; cat ran"}
    async with connect(service) as hasty:
        with pytest.raises(httpx.ReadTimeout):
            await hasty.post(path, json=body, headers=headers, timeout=httpx.Timeout(5, read=0.3))
    retry = asyncio.create_task(api.json(path, body, headers=headers))
    assert (await api.execute(devbox, "until [ -s ran ]; do sleep 0.02; done; touch go; cat ran"))["stdout"] == "x\n"
    assert (await retry)["stdout"] == "x\n"


async def test_another_body_under_the_same_id_is_refused(api: Api, devbox: str) -> None:
    path, headers = f"/v1/devboxes/{devbox}/execute_async", {"x-request-id": str(uuid.uuid4())}
    first = await api.json(path, {"command": "echo one"}, headers=headers)
    refused = await api.json(path, {"command": "echo two"}, headers=headers, status=422)
    assert refused["error"] == "request_id_reused"
    assert not refused["retryable"]
    assert await api.json(path, {"command": "echo one"}, headers=headers) == first
    held = asyncio.create_task(api.json(f"{path}?a=1", {"command": "sleep 0.5"}, headers={"x-request-id": "held"}))
    await asyncio.sleep(0)
    await api.json(f"{path}?a=2", {"command": "sleep 0.5"}, headers={"x-request-id": "held"}, status=422)
    await held


async def test_an_id_is_that_of_one_route_and_one_key(api: Api, service: Service) -> None:
    mark = {"x-request-id": str(uuid.uuid4())}
    axon = await api.json("/v1/axons", {"name": "a"}, headers=mark)
    policy = await api.json("/v1/network-policies", {"name": "a"}, headers=mark)
    assert axon["id"] != policy["id"]
    key = (await api.json("/v1/apikeys", {"name": "other"}))["key_secret"]
    other = {"authorization": f"Bearer {key}", **mark}
    theirs = await api.json("/v1/axons", {"name": "a"}, headers=other)
    assert theirs["id"] != axon["id"]
    assert await api.json("/v1/axons", {"name": "a"}, headers=other) == theirs


async def test_an_error_is_not_remembered(api: Api, devbox: str) -> None:
    mark = {"x-request-id": str(uuid.uuid4())}
    await api.json(f"/v1/devboxes/{devbox}/resume", {}, headers=mark, status=400)
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/devboxes/{devbox}/resume", {}, headers=mark)
    await api.wait(devbox, "running")


async def test_a_retry_does_not_do_again_what_was_undone_meanwhile(api: Api) -> None:
    devbox, mark = await api.create(), {"x-request-id": str(uuid.uuid4())}
    path = f"/v1/devboxes/{devbox}"
    first = await api.json(f"{path}/suspend", {}, headers=mark)
    await api.wait(devbox, "suspended")
    await api.json(f"{path}/resume", {})
    await api.wait(devbox, "running")
    assert await api.json(f"{path}/suspend", {}, headers=mark) == first
    assert (await api.json(path))["status"] == "running"
    tunnel = await api.json(f"{path}/enable_tunnel", {}, headers=mark)
    await api.json(f"{path}/remove_tunnel", {}, headers=mark)
    again = await api.json(f"{path}/enable_tunnel", {})
    assert await api.json(f"{path}/remove_tunnel", {}, headers=mark) == {}
    assert await api.json(f"{path}/enable_tunnel", {}, headers=mark) == tunnel
    assert (await api.json(path))["tunnel"] == again
    await api.json(f"{path}/shutdown", {}, headers=mark)


async def test_an_upload_comes_to_the_same_when_it_comes_again(api: Api, devbox: str) -> None:
    path, mark = f"/v1/devboxes/{devbox}/upload_file", {"x-request-id": str(uuid.uuid4())}

    async def upload() -> httpx.Response:
        return await api.post(path, data={"path": "f"}, files={"file": b"bytes"}, headers=mark)

    equal(await asyncio.gather(*(upload() for _ in range(AT_ONCE))))
    assert (await api.execute(devbox, "cat f"))["stdout"] == "bytes"


@asynccontextmanager
async def living(data_dir: Path) -> AsyncIterator[tuple[Service, Api]]:
    with serving(data_dir) as service:
        async with connect(service) as api:
            yield service, api


async def test_a_retry_after_a_kill_gets_the_same_reply_or_the_same_thing(tmp_path: Path) -> None:
    asked: dict[tuple[str, str], Retried] = {}
    replies: dict[tuple[str, str], Any] = {}
    counts: dict[tuple[str, str], int] = {}
    async with living(tmp_path / "data") as (service, api):
        for route, make in CASES.items():
            asked[route] = await make(api)
            replies[route] = equal([await asked[route].send(api, " ".join(route))]).json()
        for route, request in asked.items():
            counts[route] = await request.count(api) if request.count and request.recount else 0
        service.kill()
    kept = (tmp_path / "data" / "service.db").read_bytes() + (tmp_path / "data" / "service.db-wal").read_bytes()
    hidden = [reply[name] for reply in replies.values() for name in ("key_secret", "upload_url") if reply.get(name)]
    hidden.append(replies["POST", "/v1/devboxes/{id}/create_pty_tunnel"]["auth_token"])
    assert len(hidden) == 4
    assert [secret for secret in hidden if secret.encode() in kept] == []
    async with living(tmp_path / "data") as (_, api):
        for route, request in asked.items():
            answer = await request.send(api, " ".join(route))
            assert answer.status_code == request.restarted, (route, answer.text)
            if request.restarted == 200:
                assert made(answer.json()) == made(replies[route]), route
            if request.count and request.recount:
                assert await request.count(api) == counts[route], route
        await clear(api)


DYING = Path(__file__).with_name("dying_service.py")
UNNOTED = [
    ("POST", path)
    for path in (
        "/v1/devboxes",
        "/v1/devboxes/{id}/suspend",
        "/v1/devboxes/{id}/enable_tunnel",
        "/v1/devboxes/{id}/execute_async",
        "/v1/devboxes/{id}/snapshot_disk_async",
        "/v1/blueprints",
        "/v1/objects",
        "/v1/objects/{id}/complete",
        "/v1/secrets",
        "/v1/secrets/{name}/delete",
        "/v1/network-policies",
        "/v1/network-policies/{id}/delete",
        "/v1/axons",
        "/v1/axons/{id}/publish",
        "/v1/axons/{id}/sql/query",
        "/v1/apikeys",
    )
]


@pytest.mark.parametrize("route", UNNOTED, ids=" ".join)
async def test_a_kill_as_soon_as_it_was_made_makes_it_once(tmp_path: Path, route: tuple[str, str]) -> None:
    """The service dies by itself when the work is done and nothing was answered or noted after it."""
    with serving(tmp_path / "data", program=DYING) as service:
        async with connect(service) as api:
            request = await CASES[route](api)
            before = await request.count(api) if request.count else 0
            with pytest.raises(httpx.TransportError):
                await request.send(api, "die")
    async with living(tmp_path / "data") as (_, api):
        answer = await request.send(api, "die")
        assert answer.status_code == 200, answer.text
        if request.count and request.recount:
            assert await request.count(api) == before + 1
        equal([answer, await request.send(api, "die")])
        await clear(api)


async def test_sql_that_was_prepared_and_never_committed_runs_on_the_retry(tmp_path: Path) -> None:
    route = ("POST", "/v1/axons/{id}/sql/query")
    with serving(tmp_path / "data", program=DYING) as service:
        async with connect(service) as api:
            request = await CASES[route](api)
            assert request.count is not None
            with pytest.raises(httpx.TransportError):
                await request.send(api, "die before the commit")
    async with living(tmp_path / "data") as (_, api):
        assert await request.count(api) == 0
        answer = equal([await request.send(api, "die before the commit") for _ in range(2)])
        assert json.loads(answer.text)["rows"] == [[1]]
        assert await request.count(api) == 1


async def test_a_command_that_a_kill_ended_is_found_and_not_run_again(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        async with connect(service) as api:
            devbox = await api.create()
            mark = {"x-request-id": "once"}
            path, body = f"/v1/devboxes/{devbox}/execute_async", {"command": "echo x >> ran; sleep 1000"}
            first = await api.json(path, body, headers=mark)
            assert (await api.execute(devbox, "until [ -s ran ]; do sleep 0.02; done; cat ran"))["stdout"] == "x\n"
        service.kill()
    async with living(tmp_path / "data") as (_, api):
        again = await api.json(path, body, headers=mark)
        assert (again["execution_id"], again["exit_status"]) == (first["execution_id"], 137)
        await api.json(path, {"command": "echo another"}, headers=mark, status=422)
        await api.json(f"/v1/devboxes/{devbox}/resume", {})
        await api.wait(devbox, "running")
        assert await api.json(path, body, headers=mark) == again
        assert (await api.execute(devbox, "cat ran"))["stdout"] == "x\n"
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
