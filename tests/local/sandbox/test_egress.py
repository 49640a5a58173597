"""The way out of a devbox: to servers elsewhere, never to this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runloop_local.sandbox import egress
from runloop_local.sandbox.base import Reach
from runloop_local.sandbox.egress import Egress, is_outside
from runloop_local.sandbox.namespaces import NamespacesIsolation

from .conftest import DATA_DIR, namespaces_only, output, run

pytestmark = pytest.mark.asyncio(loop_scope="session")


def everywhere(address: egress.Address) -> bool:
    return True


@asynccontextmanager
async def web_server() -> AsyncIterator[int]:
    """Answers each request with its own first line and headers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def through(proxy: Egress, request: bytes, reach: Reach | None = None) -> bytes:
    """What the proxy answers to these bytes, to the end of the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await proxy.serve(listener, reach)
    async with server:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("address", "outside"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
    ],
)
async def test_this_machine_and_its_neighbourhood_are_not_outside(address: str, outside: bool) -> None:
    assert is_outside(ipaddress.ip_address(address)) is outside


async def test_plain_request_reaches_the_server_as_it_expects_it() -> None:
    async with web_server() as port:
        request = (
            f"GET http://localhost:{port}/a?b=c HTTP/1.1\r\nHost: x\r\nProxy-Authorization: s\r\nConnection: y\r\n\r\n"
        )
        answer = await through(Egress(everywhere), request.encode())
    assert answer.partition(b"\r\n\r\n")[2] == b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_connect_relays_bytes_both_ways() -> None:
    async with web_server() as port:
        request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        answer = await through(Egress(everywhere), request.encode())
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        pytest.param(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="this machine"),
        pytest.param(b"GET http://localhost/ HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="by name"),
        pytest.param(b"GET http://0x7f000001/ HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="in hexadecimal"),
        pytest.param(
            b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="cloud metadata"
        ),
        pytest.param(b"GET http://none.invalid/ HTTP/1.1\r\n\r\n", b"502", b"no host named none.invalid", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", b"no address", id="no proxy request"),
        pytest.param(b"GET ftp://x/ HTTP/1.1\r\n\r\n", b"400", b"no address", id="another scheme"),
        pytest.param(b"CONNECT x:99999999 HTTP/1.1\r\n\r\n", b"400", b"no address", id="no port"),
        pytest.param(b"\x16\x03\x01\r\n\r\n", b"400", b"no HTTP request", id="not HTTP"),
        pytest.param(b"GET http://x/ HTTP/1.1\r\nA: " + b"x" * 100_000, b"431", b"too large", id="endless head"),
    ],
)
async def test_request_that_is_not_passed_on_says_why(request_: bytes, status: bytes, sentence: bytes) -> None:
    answer = await through(Egress(), request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert sentence in answer


async def test_server_that_does_not_answer_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = closed.getsockname()[1]
        answer = await through(Egress(everywhere), f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"does not answer" in answer


FETCH = "import urllib.request as r; print(r.urlopen('http://outside.test:{}/x').read().decode())"


@namespaces_only
async def test_program_in_a_devbox_gets_out_by_what_its_environment_names(way: str, monkeypatch) -> None:
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: int):
        return await resolve("127.0.0.1" if host == "outside.test" else host, port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    isolation = NamespacesIsolation(DATA_DIR / f"egress-{way}", way, egress=Egress(everywhere))
    sandbox = await isolation.create("egress")
    try:
        await sandbox.start()
        async with web_server() as port:
            command = f'python3 -c "{FETCH.format(port)}"'
            assert (await output(sandbox, command)).startswith("GET /x HTTP/1.1")
            await sandbox.snapshot("frozen")  # what runs between two commands is another run of it
            assert (await output(sandbox, command)).startswith("GET /x HTTP/1.1")
            await sandbox.stop()
            await sandbox.start()
            assert (await output(sandbox, command, user="root")).startswith("GET /x HTTP/1.1")
    finally:
        await sandbox.destroy()
        await isolation.aclose()


@namespaces_only
async def test_program_in_a_devbox_does_not_reach_this_machine(sandbox) -> None:
    async with web_server() as port:
        target = f"http://{socket.gethostname()}:{port}/"
        fetch = f"import urllib.request as r; r.urlopen('http://[::ffff:127.0.0.1]:{port}/')"
        for command in (f'python3 -c "{fetch}"', f'python3 -c "import urllib.request as r; r.urlopen({target!r})"'):
            result = await run(sandbox, command)
            assert result.status == 1
            assert "HTTP Error 403" in result.err or "HTTP Error 502" in result.err


async def test_what_is_out_of_reach_is_refused_before_its_name_is_looked_up() -> None:
    asked: list[tuple[str, int, egress.Address | None]] = []

    def reach(host: str, port: int, address: egress.Address | None) -> bool:
        asked.append((host, port, address))
        return host == "localhost" and (address is None or address.is_loopback)

    async with web_server() as port:
        request = f"GET http://{{}}:{port}/ HTTP/1.1\r\n\r\n"
        refused = await through(Egress(everywhere), request.format("nowhere.invalid").encode(), reach)
        let_through = await through(Egress(everywhere), request.format("localhost").encode(), reach)
    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"network policy does not let it reach nowhere.invalid" in refused
    assert let_through.startswith(b"HTTP/1.1 200 ")
    assert asked[0] == ("nowhere.invalid", port, None)
    assert ("localhost", port, ipaddress.ip_address("127.0.0.1")) in asked
