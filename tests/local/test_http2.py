"""HTTP/2 at the service: the same answers as by HTTP/1.1, on one port."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from h2.events import DataReceived, ResponseReceived, StreamReset

from tests.local.api import Api
from tests.local.http2_client import Http2Client
from tests.local.serving import Service, serving
from tests.waiting import PATIENCE, until

MANY = 100_000_000
WEB = Path(__file__).with_name("web_server.py").read_text()


@pytest.fixture
async def two(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks HTTP/2 with prior knowledge."""
    headers = {"authorization": f"Bearer {service.api_key}"}
    async with httpx.AsyncClient(
        base_url=service.base_url, http1=False, http2=True, headers=headers, timeout=PATIENCE
    ) as client:
        yield client


@pytest.fixture
def raw(service: Service) -> Iterator[Http2Client]:
    with Http2Client(service.base_url, service.api_key) as client:
        yield client


REQUESTS = {
    "an answer": ("GET", "/v1/accounts/me", None, {}),
    "a missing devbox": ("GET", "/v1/devboxes/dbx_nope", None, {}),
    "no such address": ("GET", "/v1/nothing", None, {}),
    "no such method": ("DELETE", "/v1/devboxes", None, {}),
    "a body that is none": ("POST", "/v1/devboxes", b"{", {}),
    "a body that is too long": ("POST", "/v1/devboxes", b" " * 9_000_000, {}),
    "what is not served": ("GET", "/v1/agents", None, {}),
    "a wrong key": ("GET", "/v1/accounts/me", None, {"authorization": "Bearer wrong"}),
    "no key": ("GET", "/v1/accounts/me", None, {"authorization": ""}),
    "a foreign host": ("GET", "/v1/accounts/me", None, {"host": "evil.example"}),
    "a foreign origin": ("GET", "/v1/accounts/me", None, {"origin": "http://evil.example"}),
    "a path that is encoded": ("GET", "/v1/devboxes/%64bx%2Fnope?a=%20", None, {}),
}


@pytest.mark.parametrize(("method", "path", "body", "headers"), REQUESTS.values(), ids=REQUESTS)
async def test_answers_are_those_of_http_1(
    api: Api, two: httpx.AsyncClient, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    headers = {**headers, "x-request-id": "the-same"}
    found = []
    for client in (api, two):
        answer = await client.request(method, path, content=body, headers=headers)
        found.append((answer.status_code, answer.json(), sorted(answer.headers.items())))
    assert answer.http_version == "HTTP/2"
    assert found[0] == found[1]


HEADS = {
    "a host with a user": (400, {b":authority": b"me@{host}"}),
    "a list of hosts": (400, {b":authority": b"{host}, evil.example"}),
    "another scheme": (400, {b":scheme": b"https"}),
    "an absolute address": (400, {b":path": b"http://{host}/"}),
    "a path with a space": (400, {b":path": b"/v1/accounts/me x"}),
    "everything": (400, {b":method": b"OPTIONS", b":path": b"*"}),
    "an escape": (400, {b"x": b"\x1b[31m"}),
    "one that is fine": (200, {b"x": b"y"}),
}


@pytest.mark.parametrize(("status", "changes"), HEADS.values(), ids=HEADS)
def test_a_head_that_can_be_misread_is_refused(raw: Http2Client, status: int, changes: dict[bytes, bytes]) -> None:
    fields = dict(raw.head())
    fields |= {name: value.replace(b"{host}", raw.authority) for name, value in changes.items()}
    assert raw.answer(raw.ask(fields.items()))[0] == status
    assert raw.answer(raw.ask(raw.head()))[0] == 200  # the others on the connection go on


async def parts(size: int) -> AsyncIterator[bytes]:
    """So many bytes that are nowhere the same."""
    for number in range(size // 100_000):
        yield b"%08d" % number * 12_500


async def test_a_hundred_megabytes_go_up_and_down_byte_for_byte(api: Api, two: httpx.AsyncClient) -> None:
    made = await api.json("/v1/objects", {"name": "large", "content_type": "binary"})
    assert (await two.put(made["upload_url"], content=parts(MANY))).status_code == 200
    assert (await api.json(f"/v1/objects/{made['id']}/complete", {}))["size_bytes"] == MANY
    url = (await api.json(f"/v1/objects/{made['id']}/download"))["download_url"]
    sent, got = hashlib.sha256(), hashlib.sha256()
    async for part in parts(MANY):
        sent.update(part)
    async with two.stream("GET", url) as answer:
        assert answer.headers["content-length"] == f"{MANY}"
        async for part in answer.aiter_bytes():
            got.update(part)
    assert got.digest() == sent.digest()
    assert (await two.get(url, headers={"range": "bytes=99999998-"})).content == b"99"
    await api.json(f"/v1/objects/{made['id']}/delete", {})


async def test_a_file_of_a_devbox_goes_up_and_down(two: httpx.AsyncClient, devbox: str) -> None:
    data = b"".join([part async for part in parts(5_000_000)])
    path = f"/v1/devboxes/{devbox}"
    sent = await two.post(f"{path}/upload_file", data={"path": "up"}, files={"file": ("up", data)})
    assert (sent.status_code, sent.json()) == (200, {})
    assert (await two.post(f"{path}/download_file", json={"path": "up"})).content == data


async def test_a_hundred_requests_at_once_on_one_connection(two: httpx.AsyncClient, devbox: str) -> None:
    async def echo(number: int) -> str:
        answer = await two.post(f"/v1/devboxes/{devbox}/execute", json={"command": f"echo {number}"})
        return str(answer.json()["stdout"])

    assert await asyncio.gather(*map(echo, range(100))) == [f"{number}\n" for number in range(100)]


async def test_output_is_streamed_as_it_comes_while_others_are_answered(
    api: Api, two: httpx.AsyncClient, devbox: str
) -> None:
    execution = await api.start(devbox, "echo first; read line; echo $line", attach_stdin=True)
    got = ""
    async with two.stream("GET", f"{execution}/stream_stdout_updates") as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            got += json.loads(line.removeprefix("data: "))["output"]
            if got == "first\n":
                assert (await two.post(f"{execution}/send_std_in", json={"text": "second\n"})).json()["success"]
    assert got == "first\nsecond\n"


async def test_a_large_download_that_nobody_reads_keeps_nobody_waiting(
    api: Api, raw: Http2Client, service: Service
) -> None:
    made = await api.json("/v1/objects", {"name": "o", "content_type": "binary"})
    await api.put(made["upload_url"], content=bytes(20_000_000))
    await api.json(f"/v1/objects/{made['id']}/complete", {})
    url = httpx.URL((await api.json(f"/v1/objects/{made['id']}/download"))["download_url"])
    raw.reads = False
    raw.h2.increment_flow_control_window(10_000_000)
    stalled = await asyncio.to_thread(raw.ask, raw.head(path=url.raw_path))
    await asyncio.to_thread(raw.until, ResponseReceived, stalled)
    await asyncio.to_thread(raw.until, DataReceived, stalled)
    assert (await asyncio.to_thread(raw.answer, raw.ask(raw.head())))[0] == 200
    raw.h2.reset_stream(stalled)
    raw.flush()
    await asyncio.to_thread(raw.answer, raw.ask(raw.head()))
    await api.json(f"/v1/objects/{made['id']}/delete", {})


async def test_a_wait_that_is_given_up_ends_with_its_stream(api: Api, raw: Http2Client, devbox: str) -> None:
    execution = await api.start(devbox, "sleep 1000")
    stream = await asyncio.to_thread(raw.ask, raw.head(path=f"{execution}/stream_stdout_updates".encode()))
    await asyncio.to_thread(raw.until, ResponseReceived, stream)
    raw.h2.reset_stream(stream)
    raw.flush()
    assert (await asyncio.to_thread(raw.answer, raw.ask(raw.head())))[0] == 200
    assert not [event for event in raw.events if isinstance(event, StreamReset)]
    await api.json(f"{execution}/kill", {})


async def test_tunnels_answer_by_http_2(api: Api, two: httpx.AsyncClient, service: Service) -> None:
    devbox = await api.create(tunnel={})
    await api.json(f"/v1/devboxes/{devbox}/write_file_contents", {"file_path": "web.py", "contents": WEB})
    await api.start(devbox, "python3 web.py 8000")
    key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
    port = service.base_url.rpartition(":")[2]
    host = {"host": f"8000-{key}.tunnel.localhost:{port}"}

    async def up() -> bool:
        return (await two.get("/", headers=host)).status_code != 502

    await until(up)
    for content in (b"told", parts(1_000_000)):
        one = await api.post("/echo", headers=host, content=b"x")
        answer = await two.post("/echo", headers=host, content=content)
        assert (answer.http_version, answer.status_code) == ("HTTP/2", one.status_code)
    nobody = await two.get("/", headers={"host": f"8000-{'0' * 32}.tunnel.localhost:{port}"})
    assert (nobody.status_code, "no such tunnel" in nobody.text) == (404, True)
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


def test_a_websocket_by_http_2_is_refused(raw: Http2Client) -> None:
    head = dict(raw.head(method=b"CONNECT"))
    fields = [*list(head.items())[:4], (b":protocol", b"websocket"), *list(head.items())[4:]]
    assert raw.answer(raw.ask(fields))[0] == 400


def test_a_service_that_is_stopped_ends_its_connections(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service, Http2Client(service.base_url, service.api_key) as client:
        assert client.answer(client.ask(client.head()))[0] == 200
        service.process.terminate()
        assert client.goaway() == (1, "NO_ERROR")
        assert client.has_ended()
        assert service.process.wait(PATIENCE) == 0
    assert (tmp_path / "data.log").read_text() == ""
