"""The proxy does what a schedule says: what the client gets and what the service gets, fault by fault."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from soak.fault_proxy import FaultProxy
from soak.schedules import ACTIONS, Action, Course, Fault, Schedule
from soak.upstream import Upstream
from tests.sdk.raw_server import RawServer, whole

REQUEST = b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
ANSWER = whole(b"0123456789")
HEAD = ANSWER[:-10]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = CHUNKED + b"3\r\nabc\r\n8\r\n: ping\n\n\r\n2\r\nde\r\n0\r\n\r\n"
NOT_NOW = b'{"message": "not now"}'


async def asked(url: str, *requests: bytes) -> bytes:
    """All that comes back on one connection, until it ends or nothing more is to come."""
    parts = urlsplit(url)
    connection = Upstream(*await asyncio.open_connection(parts.hostname, parts.port))
    found = b""
    try:
        for request in requests[:-1]:
            await connection.send(request)
            found += b"".join([data async for data in connection.answer(b"POST")])
        await connection.send(requests[-1])
        connection.writer.write_eof()
        while data := await connection.reader.read(65_536):
            found += data
    except ConnectionResetError:
        return found + b"<reset>"
    finally:
        connection.close()
    return found


FAULTS = [
    (Fault("cut request", "any", 0, after=30), b"", []),
    (Fault("cut answer", "any", 0, after=len(HEAD) + 3), HEAD + b"012", [b"body"]),
    (Fault("cut answer", "any", 0), b"", [b"body"]),
    (Fault("end early", "any", 0, after=len(HEAD) + 3), HEAD + b"012", [b"body"]),
    (Fault("refuse", "any", 0), b"", []),
    (Fault("twice at once", "any", 0, seconds=5), ANSWER, [b"body", b"body"]),
    (Fault("twice", "any", 0, seconds=5), ANSWER, [b"body", b"body"]),
    (Fault("late request", "any", 0, seconds=0.01), ANSWER, [b"body"]),
    (Fault("late answer", "any", 0, seconds=0.01), ANSWER, [b"body"]),
    (Fault("lost answer", "any", 0, seconds=0.01), b"", [b"body"]),
    (Fault("drip", "any", 0, seconds=0.01), ANSWER, [b"body"]),
    (Fault("idle cut", "any", 0, seconds=0.01), ANSWER, [b"body"]),
]


@pytest.mark.parametrize(
    ("fault", "got", "bodies"),
    FAULTS,
    ids=lambda value: f"{value.action} {value.after}" if isinstance(value, Fault) else "",
)
async def test_a_fault(fault: Fault, got: bytes, bodies: list[bytes]) -> None:
    server = RawServer(ANSWER)
    async with server.serve() as service, FaultProxy(service, Course(Schedule((fault,)))).serve() as url:
        assert await asked(url, REQUEST) == got
        assert server.bodies == bodies


@pytest.mark.parametrize(("action", "bodies"), [("status before", []), ("status after", [b"body"])])
async def test_an_error_in_place_of_the_answer(action: Action, bodies: list[bytes]) -> None:
    server, fault = RawServer(ANSWER), Fault(action, "any", 0, status=503, told="retry-after: 0\r\n")
    async with server.serve() as service, FaultProxy(service, Course(Schedule((fault,)))).serve() as url:
        found = await asked(url, REQUEST, REQUEST)
    assert found.startswith(b"HTTP/1.1 503 ")
    assert found.endswith(NOT_NOW + ANSWER), "the second request on the connection is answered"
    assert server.bodies == [*bodies, b"body"]


async def test_a_reset_is_one() -> None:
    server, fault = RawServer(ANSWER), Fault("reset answer", "any", 0, after=len(HEAD) + 3)
    async with server.serve() as service, FaultProxy(service, Course(Schedule((fault,)))).serve() as url:
        assert (await asked(url, REQUEST)).endswith(b"<reset>")
    assert server.bodies == [b"body"]


def test_every_fault_is_tried_here() -> None:
    assert {fault.action for fault, _, _ in FAULTS} | {"status before", "status after", "reset answer"} == set(ACTIONS)


@pytest.mark.parametrize("after", range(0, 40, 3))
async def test_a_stream_ends_early_in_good_order(after: int) -> None:
    server, fault = RawServer(EVENTS), Fault("end early", "any", 0, after=after)
    async with server.serve() as service, FaultProxy(service, Course(Schedule((fault,)))).serve() as url:
        found = await asked(url, b"GET /stream_stdout_updates HTTP/1.1\r\nhost: x\r\n\r\n")
    assert found.startswith(CHUNKED)
    assert found.endswith(b"0\r\n\r\n")
    assert EVENTS.startswith(found.removesuffix(b"0\r\n\r\n"))


async def test_heartbeats_may_not_pass() -> None:
    for heartbeats in (True, False):
        server = RawServer(EVENTS)
        async with server.serve() as service, FaultProxy(service, Course(Schedule((), heartbeats))).serve() as url:
            found = await asked(url, b"GET /stream_stdout_updates HTTP/1.1\r\nhost: x\r\n\r\n")
        assert found == (EVENTS if heartbeats else EVENTS.replace(b"8\r\n: ping\n\n\r\n", b""))


async def test_without_faults_everything_passes_and_tunnels_are_known_by_the_services_port() -> None:
    server = RawServer(ANSWER)
    async with server.serve() as service, FaultProxy(service, Course(Schedule(()))).serve() as url:
        port = urlsplit(url).port
        tunnel = f"GET / HTTP/1.1\r\nhost: 80-k.tunnel.localhost:{port}\r\n\r\n".encode()
        assert await asked(url, REQUEST, tunnel, REQUEST) == ANSWER * 3
        assert f"80-k.tunnel.localhost:{urlsplit(service).port}" in server.heads[1]
    assert server.bodies == [b"body", b"", b"body"]
