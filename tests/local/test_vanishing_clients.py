"""Clients that vanish at any moment: the service goes on, keeps nothing for them, and has nothing to say of it."""

import asyncio
import base64
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.waiting import PATIENCE, until

PAUSES = (0.0, 0.02, 0.3)
"""Seconds after which a client goes: at once, in the middle, when nothing more comes."""
MANY = 2_000_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service, and its log."""
    folder = tmp_path_factory.mktemp("vanishing")
    with serving(folder / "data") as running:
        yield running, folder / "data.log"


@dataclass(frozen=True)
class World:
    """Where clients come from, and what they ask for."""

    api: Api
    service: Service
    devbox: str
    tunnel_key: str

    @property
    def port(self) -> int:
        return int(self.service.base_url.rpartition(":")[2])

    def head(
        self, method: str, path: str, *, host: str | None = None, length: int | None = None, more: Sequence[str] = ()
    ) -> bytes:
        """The head of a request, to the API or to a tunnel's host."""
        own = [f"authorization: Bearer {self.service.api_key}"] if host is None else []
        sized = [] if length is None else [f"content-length: {length}"]
        lines = [f"{method} {path} HTTP/1.1", f"host: {host or f'127.0.0.1:{self.port}'}", *own, *sized, *more, "", ""]
        return "\r\n".join(lines).encode()

    async def vanish(self, sent: bytes, pause: float, *, after: bytes | None = None, then: bytes = b"") -> None:
        """Send something, and `then` more once `after` has come; be reset after a pause."""
        loop = asyncio.get_running_loop()
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setblocking(False)
        with suppress(OSError, TimeoutError):  # the service may refuse before all is sent
            await asyncio.wait_for(loop.sock_sendall(client, sent), 1)
            if after is not None:
                await self._read_to(client, after)
            await asyncio.wait_for(loop.sock_sendall(client, then), 0.5)
        await asyncio.sleep(pause)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    async def _read_to(self, client: socket.socket, end: bytes) -> None:
        found = b""
        while end not in found:
            found += (more := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65536), PATIENCE))
            assert more, found


@pytest.fixture
async def world(place: tuple[Service, Path]) -> AsyncIterator[World]:
    service, log = place
    async with connect(service) as api:
        devbox = await api.create(tunnel={})
        key = (await api.json(f"/v1/devboxes/{devbox}"))["tunnel"]["tunnel_key"]
        yield World(api, service, devbox, key)
        assert (await api.execute(devbox, "echo fine"))["stdout"] == "fine\n"
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    assert log.read_text() == ""


def frame(data: bytes, kind: int = 2) -> bytes:
    """A WebSocket frame of a client."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size)
    return bytes([0x80 | kind]) + length + bytes(4) + data


WS = ("upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13")
TERMINAL: dict[str, tuple[bool, bytes]] = {
    # Whether the answer is waited for, and what is sent then.
    "before the answer": (False, b""),
    "attached": (True, b""),
    "in a flood": (True, frame(b"yes\n")),
    "in the middle of a frame": (True, frame(b"x" * 5000)[:100]),
    "while nobody reads what it types": (True, frame(b"sleep 100\n") + frame(b"y" * 60_000) * 20),
    "after saying goodbye": (True, frame(struct.pack(">H", 1000), 8)),
    "after a frame that is none": (True, b"\xff" * 6),
    "after a frame that is none, in a flood": (True, frame(b"yes\n") + b"\xff" * 6),
    "as the shell ends": (True, frame(b"exit\n")),
}


@pytest.mark.parametrize(("attached", "then"), TERMINAL.values(), ids=TERMINAL.keys())
async def test_at_a_terminal(world: World, attached: bool, then: bytes) -> None:
    tunnel = await world.api.json(f"/v1/devboxes/{world.devbox}/create_pty_tunnel", {})
    host = f"13-{tunnel['tunnel_key']}.tunnel.localhost:{world.port}"
    headers = {"host": host, "authorization": f"Bearer {tunnel['auth_token']}"}
    for number, pause in enumerate(PAUSES * 2):
        opened = await world.api.get(f"/pty/t{number}?cols=80&rows=24", headers=headers)
        assert opened.status_code == 200, opened.text
        key = base64.b64encode(os.urandom(16)).decode()
        more = (*WS, f"sec-websocket-key: {key}", f"sec-websocket-protocol: {tunnel['auth_token']}")
        asked = world.head("GET", f"/pty/t{number}/ws", host=host, more=more)
        await world.vanish(asked, pause, after=b"\r\n\r\n" if attached else None, then=then)
        await world.api.post(f"/pty/t{number}/control", headers=headers, json={"action": "close"})


async def of_a_quiet_stream(world: World, pause: float) -> None:
    execution = await world.api.start(world.devbox, "sleep 1")
    await world.vanish(world.head("GET", f"{execution}/stream_stdout_updates"), pause)


async def of_a_flood(world: World, pause: float) -> None:
    execution = await world.api.start(world.devbox, "timeout 1 yes")
    await world.vanish(world.head("GET", f"{execution}/stream_stdout_updates"), pause)


async def of_a_long_output_that_is_there(world: World, pause: float) -> None:
    execution = await world.api.start(world.devbox, f"head -c {20 * MANY} /dev/zero | tr '\\0' 'x'")
    await world.api.finish(execution)
    await world.vanish(world.head("GET", f"{execution}/stream_stdout_updates"), pause)


async def of_events(world: World, pause: float) -> None:
    axon = (await world.api.json("/v1/axons", {}))["id"]
    await world.vanish(world.head("GET", f"/v1/axons/{axon}/subscribe/sse"), pause)
    event = {"event_type": "e", "origin": "USER_EVENT", "payload": "p", "source": "s"}
    await world.api.json(f"/v1/axons/{axon}/publish", event)


async def of_evictions(world: World, pause: float) -> None:
    await world.vanish(world.head("GET", "/v1/devboxes/evictions/watch"), pause)


async def of_a_wait(world: World, pause: float) -> None:
    await asked_in_parts(world, pause, "wait_for_status", {"statuses": ["shutdown"], "timeout_seconds": 1})


async def of_a_command(world: World, pause: float) -> None:
    await asked_in_parts(world, pause, "execute", {"command": "sleep 0.2", "optimistic_timeout": 5})
    await asked_in_parts(world, pause, "execute_sync", {"command": "sleep 0.2"})


async def of_a_file_to_write(world: World, pause: float) -> None:
    await asked_in_parts(world, pause, "write_file_contents", {"file_path": "f", "contents": "x" * MANY})


async def asked_in_parts(world: World, pause: float, action: str, body: object) -> None:
    """A request of which all, half or nothing of the body comes."""
    text = json.dumps(body).encode()
    head = world.head("POST", f"/v1/devboxes/{world.devbox}/{action}", length=len(text))
    for part in (len(text), len(text) // 2, 0):
        await world.vanish(head + text[:part], pause)


async def of_an_upload(world: World, pause: float) -> None:
    start = (
        b'--X\r\ncontent-disposition: form-data; name="path"\r\n\r\nup\r\n'
        b'--X\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    )
    path, kind = f"/v1/devboxes/{world.devbox}/upload_file", ("content-type: multipart/form-data; boundary=X",)
    for part in (0, 20, len(start), len(start) + MANY // 2):
        await world.vanish(world.head("POST", path, length=MANY, more=kind) + (start + b"y" * MANY)[:part], pause)


async def of_a_download(world: World, pause: float) -> None:
    await world.api.execute(world.devbox, f"head -c {10 * MANY} /dev/zero > big")
    body = json.dumps({"path": "big"}).encode()
    path = f"/v1/devboxes/{world.devbox}/download_file"
    await world.vanish(world.head("POST", path, length=len(body)) + body, pause)


async def of_an_object_to_put(world: World, pause: float) -> None:
    for size in (1000, MANY):  # both ways that bytes go
        for part in (0, 10, size - 1):
            made = await world.api.json("/v1/objects", {"name": "o", "content_type": "binary"})
            address = urlsplit(made["upload_url"])
            await world.vanish(world.head("PUT", f"{address.path}?{address.query}", length=size) + b"x" * part, pause)
    await until(lambda: not list((world.service.data_dir / "objects").glob("*.part")))


async def of_an_object_to_get(world: World, pause: float) -> None:
    made = await world.api.json("/v1/objects", {"name": "o", "content_type": "binary"})
    await world.api.put(made["upload_url"], content=b"z" * (10 * MANY))
    await world.api.json(f"/v1/objects/{made['id']}/complete", {})
    address = urlsplit((await world.api.json(f"/v1/objects/{made['id']}/download"))["download_url"])
    for more in ((), ("range: bytes=0-500000",)):
        await world.vanish(world.head("GET", f"{address.path}?{address.query}", more=more), pause)


async def of_a_tunnel(world: World, pause: float) -> None:
    serve = f"head -c {10 * MANY} /dev/zero > big; exec python3 -m http.server 8000"
    await world.api.start(world.devbox, serve)
    host = f"8000-{world.tunnel_key}.tunnel.localhost:{world.port}"
    await world.vanish(world.head("GET", "/big", host=host), pause)
    await world.vanish(world.head("POST", "/big", host=host, length=MANY) + b"x" * 1000, pause)
    key = f"sec-websocket-key: {base64.b64encode(bytes(16)).decode()}"
    await world.vanish(world.head("GET", "/big", host=host, more=(*WS, key)), pause)


async def with_garbage(world: World, pause: float) -> None:
    for garbage in (b"\0\1\2\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\n"):
        await world.vanish(garbage, pause)


CLIENTS = [
    of_a_quiet_stream,
    of_a_flood,
    of_a_long_output_that_is_there,
    of_events,
    of_evictions,
    of_a_wait,
    of_a_command,
    of_a_file_to_write,
    of_an_upload,
    of_a_download,
    of_an_object_to_put,
    of_an_object_to_get,
    of_a_tunnel,
    with_garbage,
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_in_the_middle(world: World, client: Callable[[World, float], Awaitable[None]]) -> None:
    for pause in PAUSES:
        await client(world, pause)


async def test_nothing_is_kept_for_them(world: World) -> None:
    """Descriptors that a client took are given back."""
    folder = f"/proc/{world.service.process.pid}/fd"
    if sys.platform != "linux":
        return  # nothing else shows them
    await of_events(world, 0.1)
    before = len(os.listdir(folder))
    for _ in range(20):
        await of_events(world, 0.05)
    await until(lambda: len(os.listdir(folder)) <= before + 2)


@pytest.mark.parametrize(
    ("route", "name"), [("read_file_contents", "file_path"), ("download_file", "path")], ids=["read", "download"]
)
async def test_of_a_file_that_says_nothing(world: World, route: str, name: str) -> None:
    """The program that reads it goes with the client: each of them would keep descriptors, and a process."""
    await world.api.execute(world.devbox, "mkfifo silent; sleep 1000 3<>silent >/dev/null 2>&1 &")
    body = json.dumps({name: "silent"}).encode()
    head = world.head("POST", f"/v1/devboxes/{world.devbox}/{route}", length=len(body))
    for pause in PAUSES:
        await world.vanish(head + body, pause)

    async def gone() -> bool:
        return bool((await world.api.execute(world.devbox, "pgrep -fc '[c]at -- silent'"))["stdout"] == "0\n")

    await until(gone, "the end of the programs that read it")
