"""The way out of a devbox: to servers elsewhere, never to this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runloop_local.engine.network import policies
from runloop_local.sandbox import Sandbox, egress
from runloop_local.sandbox.base import Address, EgressPredicate, SandboxError
from runloop_local.sandbox.egress import Egress
from runloop_local.sandbox.local_addresses import is_local_network, is_this_machine, own_networks
from runloop_local.sandbox.namespaces import NamespacesIsolation
from tests.waiting import PATIENCE, until

from .conftest import DATA_DIR, driver_named, namespaces_only, output, run

pytestmark = pytest.mark.asyncio(loop_scope="session")


def nothing(address: Address) -> bool:
    return False


def open_proxy() -> Egress:
    """One that also reaches this machine, where the tests' servers are."""
    return Egress(nothing, nothing)


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


async def through(proxy: Egress, request: bytes, reach: EgressPredicate | None = None) -> bytes:
    """What the proxy answers to these bytes, to the end of the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await proxy.serve(listener, reach)
    async with server:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        await writer.wait_closed()
    return answer


HERE = "this machine"
NEAR = "its neighbourhood"
ELSEWHERE = "elsewhere"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("93.184.216.34", ELSEWHERE),
        ("2606:2800:220:1::1", ELSEWHERE),
        ("10.1.2.3", ELSEWHERE),
        ("127.0.0.1", HERE),
        ("127.8.8.8", HERE),
        ("0.0.0.0", HERE),
        ("224.0.0.1", HERE),
        ("::1", HERE),
        ("::", HERE),
        ("ff02::1", HERE),
        ("::ffff:127.0.0.1", HERE),
        ("64:ff9b::7f00:1", HERE),
        ("2002:7f00:1::", HERE),
        ("::7f00:1", HERE),
        ("169.254.169.254", NEAR),
        ("255.255.255.255", HERE),
        ("fe80::1", NEAR),
        ("fd00:ec2::254", NEAR),
        ("fd20:ce::254", NEAR),
        ("168.63.129.16", NEAR),
        ("100.100.100.200", NEAR),
        ("::ffff:169.254.169.254", NEAR),
        ("64:ff9b::a9fe:a9fe", NEAR),
        ("192.168.7.9", NEAR),
        ("fd12:3456::9", NEAR),
    ],
)
async def test_addresses_of_this_machine_and_of_its_neighbourhood_are_told(address: str, place: str) -> None:
    networks = (ipaddress.ip_network("192.168.7.0/24"), ipaddress.ip_network("fd12:3456::/64"))
    found = ipaddress.ip_address(address)
    told = HERE if is_this_machine(found) else NEAR if is_local_network(found, networks) else ELSEWHERE
    assert told == place


async def test_this_machines_networks_are_those_without_a_router(tmp_path: Path) -> None:
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT"
    routes = ("eth0 00000000 0107A8C0 0003 0 0 0 00000000 0 0 0", "eth0 0007A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0")
    (tmp_path / "route").write_text("\n".join((head, *routes)))
    zero, router = "0" * 32, "fd123456" + "0" * 23 + "1"
    (tmp_path / "ipv6_route").write_text(
        f"fd123456{'0' * 24} 40 {zero} 00 {zero} 00000100 0 0 0 eth0\n"
        f"{zero} 00 {zero} 00 {router} 00000400 0 0 0 eth0\n"
    )
    assert [str(each) for each in own_networks(tmp_path)] == ["192.168.7.0/24", "fd12:3456::/64"]
    assert own_networks(tmp_path / "none") == ()


async def test_plain_request_reaches_the_server_as_it_expects_it() -> None:
    async with web_server() as port:
        request = (
            f"GET http://localhost:{port}/a?b=c HTTP/1.1\r\nHost: x\r\nProxy-Authorization: s\r\nConnection: y\r\n\r\n"
        )
        answer = await through(open_proxy(), request.encode())
    host = b"Host: localhost:%d\r\n" % port  # the one that was connected to
    assert answer.partition(b"\r\n\r\n")[2] == b"GET /a?b=c HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"


async def test_connect_relays_bytes_both_ways() -> None:
    async with web_server() as port:
        request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        answer = await through(open_proxy(), request.encode())
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        pytest.param(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="this machine"),
        pytest.param(b"GET http://localhost/ HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="by name"),
        pytest.param(b"GET http://0x7f000001/ HTTP/1.1\r\n\r\n", b"400", b"not an address", id="in hexadecimal"),
        pytest.param(
            b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n", b"403", b"closed to devboxes", id="cloud metadata"
        ),
        pytest.param(b"GET http://none.invalid/ HTTP/1.1\r\n\r\n", b"502", b"no host named none.invalid", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", b"not an address", id="no proxy request"),
        pytest.param(b"GET ftp://x/ HTTP/1.1\r\n\r\n", b"400", b"not an address", id="another scheme"),
        pytest.param(b"CONNECT x:99999999 HTTP/1.1\r\n\r\n", b"400", b"not an address", id="no port"),
        pytest.param(b"\x16\x03\x01\r\n\r\n", b"400", b"not an HTTP request", id="not HTTP"),
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
        answer = await through(open_proxy(), f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"does not answer" in answer


FETCH = "import urllib.request as r; print(r.urlopen('http://outside.test:{}/x').read().decode())"


@namespaces_only
async def test_program_in_a_devbox_gets_out_by_what_its_environment_names(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_lookup", lambda host, _port: ["127.0.0.1"] if host == "outside.test" else [])
    isolation = NamespacesIsolation(DATA_DIR / f"egress-{way}", driver_named(way), egress=open_proxy())
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
async def test_program_in_a_devbox_does_not_reach_this_machine(sandbox: Sandbox) -> None:
    async with web_server() as port:
        target = f"http://{socket.gethostname()}:{port}/"
        fetch = f"import urllib.request as r; r.urlopen('http://[::ffff:127.0.0.1]:{port}/')"
        for command in (f'python3 -c "{fetch}"', f'python3 -c "import urllib.request as r; r.urlopen({target!r})"'):
            result = await run(sandbox, command)
            assert result.status == 1
            assert "HTTP Error 403" in result.err or "HTTP Error 502" in result.err


async def test_what_is_out_of_reach_is_refused_before_its_name_is_looked_up() -> None:
    asked: list[tuple[str, int, Address | None]] = []

    def reach(host: str, port: int, address: Address | None) -> bool:
        asked.append((host, port, address))
        return host == "localhost" and (address is None or address.is_loopback)

    async with web_server() as port:
        request = f"GET http://{{}}:{port}/ HTTP/1.1\r\n\r\n"
        refused = await through(open_proxy(), request.format("nowhere.invalid").encode(), reach)
        let_through = await through(open_proxy(), request.format("localhost").encode(), reach)
    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"network policy does not let it reach nowhere.invalid" in refused
    assert let_through.startswith(b"HTTP/1.1 200 ")
    assert asked[0] == ("nowhere.invalid", port, None)
    assert ("localhost", port, ipaddress.ip_address("127.0.0.1")) in asked


async def test_what_is_guarded_is_opened_by_a_network_of_a_policy_and_not_by_a_name() -> None:
    async with web_server() as port:
        request = f"GET http://localhost:{port}/ HTTP/1.1\r\n\r\n".encode()
        guarded = Egress(nothing, lambda _address: True)
        by_name = await through(guarded, request, policies.EgressRules(False, ("localhost",)).allows)
        network = policies.Network(ipaddress.IPv4Network("127.0.0.0/8"))
        by_network = await through(guarded, request, policies.EgressRules(False, (), (network,)).allows)
        without = await through(guarded, request)
    assert by_name.startswith(b"HTTP/1.1 403 ")
    assert without.startswith(b"HTTP/1.1 403 ")
    assert by_network.startswith(b"HTTP/1.1 200 ")


async def test_slow_names_of_one_devbox_keep_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def lookup(host: str, _port: int) -> list[str]:
        if host.startswith("slow"):
            go.wait()
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "_lookup", lookup)
    proxy, before = open_proxy(), asyncio.all_tasks()
    async with web_server() as port:
        slow = [f"CONNECT slow{number}.test:{port} HTTP/1.1\r\n\r\n" for number in range(4 * egress.NAMES_AT_ONCE)]
        listener = socket.create_server(("127.0.0.1", 0))
        async with await proxy.serve(listener):
            held = [await asyncio.open_connection(*listener.getsockname()) for _ in slow]
            for (_, writer), request in zip(held, slow, strict=True):
                writer.write(request.encode())
            other = await through(proxy, f"GET http://quick.test:{port}/ HTTP/1.1\r\n\r\n".encode())
            assert other.startswith(b"HTTP/1.1 200 ")
            go.set()
            for reader, writer in held:
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                writer.close()
            await until(lambda: asyncio.all_tasks() <= before, "the end of what the proxy does for them")


async def test_connections_of_one_devbox_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "_most_connections", lambda: 2)
    async with web_server() as port:
        listener = socket.create_server(("127.0.0.1", 0))
        async with await open_proxy().serve(listener):
            held = [await asyncio.open_connection(*listener.getsockname()) for _ in range(3)]
            reader, writer = held[2]
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            writer.close()
            held[0][1].close()
            await held[0][1].wait_closed()
            request = f"GET http://localhost:{port}/ HTTP/1.1\r\n\r\n".encode()
            while (answer := await _asked(listener, request)).startswith(b"HTTP/1.1 503 "):  # noqa: ASYNC110 -- the
                await asyncio.sleep(0.01)  # proxy tells nobody that it has seen the first go
            assert answer.startswith(b"HTTP/1.1 200 ")
            held[1][1].close()


@asynccontextmanager
async def silent_server(says: bytes = b"") -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """Reads nothing, and ends no connection by itself, not even one whose other side has ended."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        taken.append(writer)
        writer.write(says)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], taken
    finally:
        server.close()
        for writer in taken:
            if not writer.is_closing():
                writer.transport.abort()


async def test_what_a_devbox_has_opened_ends_with_it() -> None:
    """Whoever is outside may leave the connection open for ever, and keep the service's descriptors so."""
    async with silent_server() as (port, taken):
        listener = socket.create_server(("127.0.0.1", 0))
        outlet = await open_proxy().serve(listener)
        before, ends = asyncio.all_tasks(), []
        for last in (b"", b"x" * (8 << 20)):  # by the second the way out is full, too
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            writer.write(last)
            ends.append(writer)
        for writer in ends:
            writer.transport.abort()  # as the kernel does it for programs that are killed
        await until(lambda: len(taken) == 2, "both connections to arrive")
        assert asyncio.all_tasks() > before
        outlet.close()
        await until(lambda: asyncio.all_tasks() <= before, "the end of what the proxy does for them")


async def test_a_connection_counts_until_all_of_it_has_been_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that reads nothing keeps the service's descriptors, however often it says that it is done."""
    monkeypatch.setattr(egress, "_most_connections", lambda: 1)
    async with silent_server(b"x" * 60_000) as (port, taken):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so the proxy itself has the rest to keep
        async with await open_proxy().serve(listener):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(listener.getsockname())
                client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
                await until(lambda: taken, "the connection outside")
                client.shutdown(socket.SHUT_WR)
                taken[0].close()  # once what it says is on its way
                for _ in range(20):
                    assert (await _asked(listener, b"")).startswith(b"HTTP/1.1 503 ")
                    await asyncio.sleep(0.01)


async def test_a_name_that_no_thread_looks_up_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = open_proxy()

    def refuse(*_work: object) -> None:
        raise RuntimeError("can't start new thread")

    listener = socket.create_server(("127.0.0.1", 0))
    async with web_server() as port, await proxy.serve(listener):
        request = f"GET http://localhost:{port}/ HTTP/1.1\r\n\r\n".encode()
        with monkeypatch.context() as patched:
            patched.setattr(proxy._resolvers, "submit", refuse)
            for _ in range(egress.NAMES_AT_ONCE + 1):
                assert (await _asked(listener, request)).startswith(b"HTTP/1.1 503 ")
        assert (await _asked(listener, request)).startswith(b"HTTP/1.1 200 ")


async def _asked(listener: socket.socket, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@namespaces_only
async def test_the_way_out_cannot_be_reached_by_a_tunnel(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="closed to tunnels"):
        await sandbox.dial(egress.PORT)
