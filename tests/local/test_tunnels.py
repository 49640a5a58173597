"""Tunnels: a devbox's ports behind the service's own, by host name."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.local.api import Api
from tests.local.serving import Service
from tests.waiting import PATIENCE

SERVER = Path(__file__).with_name("web_server.py").read_text()
UNTIL = "until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.01; done"
SERVE = f"nohup python3 ~/web_server.py {{port}} >/dev/null 2>&1 & {UNTIL}"
AUTHORIZATION = "X-Runloop-Tunnel-Authorization"
PORT = 8000


def port_of(service: Service) -> int:
    return int(service.base_url.rpartition(":")[2])


def host_of(service: Service, key: str, port: int = PORT) -> str:
    return f"{port}-{key}.tunnel.localhost:{port_of(service)}"


class Web(httpx.AsyncClient):
    """A client of one devbox's port that needs nobody to know names below localhost."""

    def __init__(self, service: Service, key: str, port: int = PORT, **headers: str) -> None:
        self.host = host_of(service, key, port)
        super().__init__(base_url=service.base_url, headers={"host": self.host, **headers}, timeout=PATIENCE)


def websocket(service: Service, key: str, path: str = "/ws", **options: Any) -> connect:
    host = host_of(service, key)
    return connect(
        f"ws://{host}{path}", host="127.0.0.1", port=port_of(service), proxy=None, compression=None, **options
    )


@pytest.fixture(scope="module")
def site(service: Service) -> Iterator[dict[str, Any]]:
    """A running devbox with an open tunnel and the web server on PORT."""
    with httpx.Client(
        base_url=service.base_url, headers={"Authorization": f"Bearer {service.api_key}"}, timeout=PATIENCE
    ) as client:
        body = {"tunnel": {}, "file_mounts": {"web_server.py": SERVER}}
        view = client.post("/v1/devboxes/create_and_await_running", json=body).json()
        done = client.post(f"/v1/devboxes/{view['id']}/execute_sync", json={"command": SERVE.format(port=PORT)})
        assert done.json()["exit_status"] == 0, done.text
        yield view
        client.post(f"/v1/devboxes/{view['id']}/shutdown", json={})


@pytest.fixture
def key(site: dict[str, Any]) -> str:
    found: str = site["tunnel"]["tunnel_key"]
    return found


@pytest.fixture
async def web(service: Service, key: str) -> AsyncIterator[Web]:
    async with Web(service, key) as client:
        yield client


@pytest.fixture
async def ws(service: Service, key: str) -> AsyncIterator[ClientConnection]:
    async with websocket(service, key, max_size=None) as connection:
        yield connection


async def seen(web: Web, path: str = "/seen", **headers: str) -> dict[str, Any]:
    answer = await web.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# HTTP


async def test_a_request_arrives_as_it_was_sent(web: Web) -> None:
    found = await seen(
        web, "/a%20b/%C3%BC?q=1&q=%2F", **{"X-Mine": "yes", "Authorization": "Bearer app", "Cookie": "c=3"}
    )
    headers = dict(found["headers"])
    assert found["path"] == "/a%20b/%C3%BC?q=1&q=%2F"
    assert (headers["x-mine"], headers["authorization"], headers["cookie"]) == ("yes", "Bearer app", "c=3")
    assert headers["host"] == headers["x-forwarded-host"] == web.host
    assert (headers["x-forwarded-proto"], headers["x-forwarded-for"]) == ("http", "127.0.0.1")


async def test_headers_of_the_connection_stay_behind(web: Web) -> None:
    found = await seen(web, **{"Connection": "x-hop, keep-alive", "X-Hop": "1", "TE": "trailers", "Keep-Alive": "5"})
    names = {name for name, _ in found["headers"]}
    assert not names & {"x-hop", "te", "keep-alive", AUTHORIZATION.lower()}
    answer = await web.get("/seen", headers={AUTHORIZATION: "Bearer secret"})
    assert "secret" not in answer.text
    assert "keep-alive" not in answer.headers
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_where_a_request_came_from_is_added_to(web: Web) -> None:
    headers = (await seen(web, **{"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Host": "forged"}))["headers"]
    assert [value for name, value in headers if name == "x-forwarded-for"] == ["9.9.9.9, 127.0.0.1"]
    assert [value for name, value in headers if name == "x-forwarded-host"] == [web.host]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_bodies_go_both_ways(web: Web, method: str) -> None:
    data = bytes(range(256)) * 8000
    assert (await web.request(method, "/echo", content=data)).content == data


async def test_bodies_of_unknown_length_go_both_ways(web: Web) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(300):
            yield bytes([number % 256]) * 10_000

    answer = await web.post("/echo", content=pieces())
    assert answer.content == b"".join([piece async for piece in pieces()])


async def test_methods_without_a_body(web: Web) -> None:
    assert (await web.post("/echo")).content == b""
    assert (await web.delete("/x")).status_code == 501  # the web server's own answer: it has no such method
    assert (await web.head("/x")).status_code == 501


async def test_an_answer_arrives_while_it_is_made(web: Web) -> None:
    async with web.stream("GET", "/parted") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "first"
        await web.get("/go")
        assert await anext(lines) == "second"


async def test_a_client_that_leaves_ends_the_servers_answer(web: Web) -> None:
    async with web.stream("GET", "/endless") as answer:
        await anext(answer.aiter_raw())
    assert (await web.get("/left")).text == "yes"


async def test_an_answer_that_is_cut_is_cut_for_the_client(web: Web) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await web.get("/cut")


async def test_what_is_no_http_is_a_502(web: Web) -> None:
    answer = await web.get("/garbage")
    assert answer.status_code == 502
    assert "no HTTP answer" in answer.text


async def test_the_standard_librarys_file_server(api: Api, service: Service, site: dict[str, Any], key: str) -> None:
    command = "mkdir -p www/sub; echo hi > www/f; cd www; nohup python3 -m http.server 8001 >/dev/null 2>&1 &"
    await api.execute(site["id"], f"{command} {UNTIL.format(port=8001)}")
    async with Web(service, key, 8001) as web:
        assert (await web.get("/f")).text == "hi\n"
        assert (await web.head("/f")).headers["content-length"] == "3"
        assert (await web.get("/none")).status_code == 404
        moved = await web.get("/sub")
        assert (moved.status_code, moved.headers["location"]) == (301, "/sub/")


async def test_a_server_that_listens_on_the_newer_localhost_only(
    api: Api, service: Service, site: dict[str, Any], key: str
) -> None:
    until = "until (: </dev/tcp/::1/8002) 2>/dev/null; do sleep 0.01; done"
    await api.execute(site["id"], f"nohup python3 -m http.server 8002 --bind ::1 >/dev/null 2>&1 & {until}")
    async with Web(service, key, 8002) as web:
        assert (await web.get("/web_server.py")).text == SERVER


async def test_many_requests_at_once(web: Web) -> None:
    found = await asyncio.gather(*(seen(web, f"/{number}") for number in range(50)))
    assert [answer["path"] for answer in found] == [f"/{number}" for number in range(50)]


# WebSockets


async def test_websocket_frames_go_both_ways(ws: ClientConnection, web: Web) -> None:
    assert ws.response is not None
    assert ws.response.headers["x-seen"] == web.host
    for message in ("grün", b"", bytes(range(256)), "x" * 70_000, bytes(3_000_000)):
        await ws.send(message)
        assert await ws.recv() == message


async def test_websocket_pings_and_closes_are_the_servers(ws: ClientConnection) -> None:
    # The server sends back frames as they are: its ping is answered with a pong, the close with our code.
    await ws.send("x")
    assert await ws.recv() == "x"
    await ws.close(4321, "enough")
    assert (ws.close_code, ws.close_reason) == (4321, "enough")


async def test_many_messages_at_once_are_not_lost(ws: ClientConnection) -> None:
    async def send() -> None:
        for number in range(2000):
            await ws.send(str(number))

    sending = asyncio.create_task(send())
    assert [await ws.recv() for _ in range(2000)] == [str(number) for number in range(2000)]
    await sending


@pytest.mark.parametrize(
    ("port", "key_of", "status"), [(PORT, "0" * 32, 404), (9, None, 502)], ids=["unknown key", "nothing listens"]
)
async def test_a_websocket_that_cannot_be_has_a_status(
    service: Service, key: str, port: int, key_of: str | None, status: int
) -> None:
    host = host_of(service, key_of or key, port)
    with pytest.raises(InvalidStatus) as error:
        await connect(f"ws://{host}/ws", host="127.0.0.1", port=port_of(service), proxy=None)
    assert error.value.response.status_code == status


async def test_the_api_has_no_websockets(service: Service) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await connect(service.base_url.replace("http", "ws") + "/v1/devboxes", proxy=None)


# Who comes in


async def test_nothing_listens_is_a_502_with_a_sentence(service: Service, key: str) -> None:
    async with Web(service, key, 4444) as web:
        answer = await web.get("/")
    assert answer.status_code == 502
    assert "Nothing answers on port 4444" in answer.text
    assert answer.text.count("\n") == 1


async def test_an_unknown_key_is_a_404(service: Service) -> None:
    async with Web(service, "0" * 32) as web:
        assert (await web.get("/")).status_code == 404


@pytest.mark.parametrize(
    "host",
    [
        "{port}-{key}.tunnel.localhost",
        "{port}-{key}.tunnel.localhost:1",
        "{port}-{key}.tunnel.example.org:{own}",
        "{port}-{key}.localhost:{own}",
        "0-{key}.tunnel.localhost:{own}",
        "70000-{key}.tunnel.localhost:{own}",
        "{key}.tunnel.localhost:{own}",
        "a.{port}-{key}.tunnel.localhost:{own}",
    ],
)
async def test_other_names_lead_nowhere(service: Service, key: str, host: str) -> None:
    named = host.format(port=PORT, key=key, own=port_of(service))
    async with httpx.AsyncClient(base_url=service.base_url, headers={"host": named}) as client:
        assert (await client.get("/seen")).status_code == 403


async def test_names_are_the_same_in_capitals(service: Service, key: str) -> None:
    async with Web(service, key) as web:
        assert (await web.get("/seen", headers={"host": web.host.upper()})).status_code == 200


async def test_a_devboxs_page_cannot_use_the_api(api: Api, web: Web) -> None:
    assert (await api.get("/v1/devboxes", headers={"origin": f"http://{web.host}"})).status_code == 403
    assert (await web.get("/v1/devboxes")).json()["path"] == "/v1/devboxes"  # it is the devbox that answers there


# Keys of the service


@pytest.fixture(scope="module")
def made_key(service: Service) -> str:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    answer = httpx.post(f"{service.base_url}/v1/apikeys", json={"name": "made"}, headers=headers)
    made: str = answer.json()["key_secret"]
    return made


def basic(key: str, user: str = "me") -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


CARRIERS = {
    "authorization": lambda key: {"Authorization": f"Bearer {key}"},
    "basic authorization": lambda key: {"Authorization": basic(key)},
    "the user of basic authorization": lambda key: {"Authorization": basic("x", key)},
    "bare": lambda key: {"X-Api-Key": key},
    "in words": lambda key: {"X-Note": f"use {key}, please"},
    "quoted": lambda key: {"X-Note": f'"{key}"'},
    "referer": lambda key: {"Referer": f"http://127.0.0.1/?key={key}&a=b"},
    "percent-encoded": lambda key: {"X-Note": "".join(f"%{ord(letter):02x}" for letter in key)},
    "cookie": lambda key: {"Cookie": f"a=1; token={key}; b=2"},
    "only cookie": lambda key: {"Cookie": f"token={key}"},
    "subprotocol": lambda key: {"Sec-WebSocket-Protocol": f"bearer, {key}"},
}


@pytest.mark.parametrize("further", [False, True], ids=["own key", "key made by the API"])
@pytest.mark.parametrize("carried", CARRIERS.values(), ids=CARRIERS)
async def test_no_key_of_the_service_reaches_a_devbox(
    service: Service, web: Web, made_key: str, carried: Callable[[str], dict[str, str]], further: bool
) -> None:
    key = made_key if further else service.api_key
    found = await seen(web, f"/a?x=1&key={key}&y=2", **{**carried(key), "X-Kept": "yes"})
    assert key not in json.dumps(found)
    assert basic(key) not in json.dumps(found)
    assert found["path"] == "/a?x=1&y=2"
    headers = dict(found["headers"])
    assert headers["x-kept"] == "yes"
    if "Cookie" in carried(key):
        assert headers.get("cookie") == ("a=1; b=2" if "a=1" in carried(key)["Cookie"] else None)


async def test_no_key_of_the_service_reaches_a_websocket_of_a_devbox(service: Service, key: str, made_key: str) -> None:
    for secret in (service.api_key, made_key):
        headers = {"Authorization": f"Bearer {secret}", "Cookie": f"t={secret}", "X-Kept": "yes"}
        async with websocket(service, key, f"/ws?key={secret}&a=1", additional_headers=headers) as ws:
            assert ws.response is not None
            asked = ws.response.headers["x-asked"]
        assert secret not in asked
        assert "/ws?a=1" in asked
        assert "yes" in asked
        with pytest.raises(InvalidStatus, match="400"):
            await websocket(service, key, f"/{secret}/ws")


@pytest.mark.parametrize("shape", ["{key}x", "x{key}", "{key}-x", "ak_" + "x" * 43, "Bearer app"])
async def test_what_is_no_key_of_the_service_goes_through(service: Service, web: Web, shape: str) -> None:
    value = shape.format(key=service.api_key)
    found = await seen(web, f"/a?key={value}", Authorization=value, Cookie=f"a={value}")
    headers = dict(found["headers"])
    assert (headers["authorization"], headers["cookie"]) == (value, f"a={value}")


async def test_a_path_with_a_key_is_refused(service: Service, web: Web) -> None:
    answer = await web.get(f"/a/{service.api_key}/b")
    assert answer.status_code == 400
    assert service.api_key not in answer.text


async def test_an_authenticated_tunnel_asks_for_its_token(api: Api, service: Service) -> None:
    devbox = await api.create(file_mounts={"web_server.py": SERVER})
    await api.execute(devbox, SERVE.format(port=PORT))
    tunnel = await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {"auth_mode": "authenticated"})
    key, token = tunnel["tunnel_key"], tunnel["auth_token"]
    async with Web(service, key) as web:
        for wrong in (
            {},
            {AUTHORIZATION: f"Bearer {token}x"},
            {AUTHORIZATION: token},
            {"Authorization": f"Bearer {token}"},
        ):
            answer = await web.get("/seen", headers=wrong)
            assert (answer.status_code, AUTHORIZATION in answer.text) == (401, True)
        assert (await web.get("/seen", headers={AUTHORIZATION: f"Bearer {token}"})).status_code == 200
    with pytest.raises(InvalidStatus, match="401"):
        await websocket(service, key)
    async with websocket(service, key, additional_headers={AUTHORIZATION: f"Bearer {token}"}) as ws:
        await ws.send("in")
        assert await ws.recv() == "in"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


# Life


async def test_a_devbox_has_one_tunnel_while_it_runs(api: Api, service: Service) -> None:
    devbox = await api.create()
    assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] is None
    tunnel = await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {})
    assert (tunnel["auth_mode"], tunnel["http_keep_alive"], tunnel["wake_on_http"]) == ("open", True, False)
    assert (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"] == tunnel
    again = await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {}, status=400)
    assert "remove it first" in again["message"]
    assert await api.json(f"/v1/devboxes/{devbox}/remove_tunnel", {}) == {}
    async with Web(service, tunnel["tunnel_key"]) as web:
        assert (await web.get("/")).status_code == 404
    other = await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {})
    assert other["tunnel_key"] != tunnel["tunnel_key"]
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    async with Web(service, other["tunnel_key"]) as web:
        assert (await web.get("/")).status_code == 404
    await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", {}, status=400)


@pytest.mark.parametrize("body", [{"auth_mode": "secret"}, {"http_keep_alive": "perhaps"}], ids=json.dumps)
async def test_a_tunnel_that_cannot_be_is_a_400(api: Api, devbox: str, body: dict[str, str]) -> None:
    await api.json(f"/v1/devboxes/{devbox}/enable_tunnel", body, status=400)


@pytest.mark.parametrize(
    ("tunnel", "triggers", "status"),
    [
        ({"wake_on_http": True}, None, 200),
        ({}, None, 503),
        ({}, {"http": True}, 200),
        ({"wake_on_http": True}, {"http": False}, 503),
    ],
    ids=["tunnel wakes", "nothing wakes", "devbox wakes", "devbox forbids"],
)
async def test_requests_wake_a_suspended_devbox(
    api: Api, service: Service, tunnel: dict[str, bool], triggers: dict[str, bool] | None, status: int
) -> None:
    parameters = {"launch_commands": [SERVE.format(port=PORT)], "lifecycle": {"resume_triggers": triggers}}
    devbox = await api.create(tunnel=tunnel, file_mounts={"web_server.py": SERVER}, launch_parameters=parameters)
    key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    async with Web(service, key) as web:
        answers = await asyncio.gather(*(web.get("/seen") for _ in range(3)))
    assert [answer.status_code for answer in answers] == [status] * 3
    awake = "running" if status == 200 else "suspended"
    assert (await api.wait(devbox, awake))["status"] == awake
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
