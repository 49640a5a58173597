"""Heads of requests that two readers could read in two ways: refused with 400, at the API and at tunnels alike."""

import socket

import pytest

from runloop_local.request_check import check_head
from tests.local.serving import Service
from tests.waiting import PATIENCE

HOST = "127.0.0.1:{port}"
TUNNEL = "8000-0123456789abcdef0123456789abcdef.tunnel.localhost:{port}"

HEADS: dict[str, str] = {
    "two hosts": "GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "a foreign second host": "GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
    "a foreign first host": "GET / HTTP/1.1\r\nHost: evil.example\r\nHost: {host}\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "no host, as long ago": "GET / HTTP/1.0\r\n\r\n",
    "no version": "GET /\r\n\r\n",
    "a host with a NUL": "GET / HTTP/1.1\r\nHost: {host}\0.example\r\n\r\n",
    "a host with a user": "GET / HTTP/1.1\r\nHost: me@{host}\r\n\r\n",
    "a host with a path": "GET / HTTP/1.1\r\nHost: {host}/x\r\n\r\n",
    "a host with a space": "GET / HTTP/1.1\r\nHost: {host} x\r\n\r\n",
    "a host that is percent-encoded": "GET / HTTP/1.1\r\nHost: %31{host}\r\n\r\n",
    "a host that is not ASCII": "GET / HTTP/1.1\r\nHost: é{host}\r\n\r\n",
    "a list of hosts": "GET / HTTP/1.1\r\nHost: {host}, evil.example\r\n\r\n",
    "another absolute address": "GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "an absolute address with a user": "GET http://x@{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "an absolute address of another scheme": "GET ftp://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "an address without a scheme": "GET //evil.example@{host} HTTP/1.1\r\nHost: {host}, x\r\n\r\n",
    "a way through": "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "everything": "OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a folded line": "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n",
    "a folded host": "GET / HTTP/1.1\r\nHost:\r\n {host}\r\n\r\n",
    "a bare line feed": "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\nY: b\r\n\r\n",
    "a bare carriage return": "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\rY: b\r\n\r\n",
    "a space before the colon": "GET / HTTP/1.1\r\nHost : {host}\r\n\r\n",
    "an escape": "GET / HTTP/1.1\r\nHost: {host}\r\nX: \x1b[31m\r\n\r\n",
    "two lengths": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1, 1\r\n\r\na",
    "a signed length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: +1\r\n\r\na",
    "chunks and a length": (
        "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"
    ),
    "a length and chunks": (
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two encodings": (
        "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a list of encodings": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
    "an odd encoding": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks of long ago": "POST / HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a WebSocket with two hosts": (
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ),
    "a WebSocket of another address": (
        "GET http://x/ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    ),
}
FINE: dict[str, str] = {
    "a plain request": "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "its own absolute address": "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "its own absolute address in capitals": "GET HTTP://{host}/?a HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "a host of long ago": "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n",
    "chunks": "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "a length": "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n",
}


def status(service: Service, head: str, host: str) -> int:
    """What the request that begins like this is answered with."""
    port = int(service.base_url.rpartition(":")[2])
    text = head.replace("{host}", host.format(port=port))
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(text.encode("latin-1"))
        with connection.makefile("rb") as answer:
            return int(answer.readline().split()[1])


@pytest.mark.parametrize("host", [HOST, TUNNEL], ids=["API", "tunnel"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_that_can_be_misread_is_refused(service: Service, head: str, host: str) -> None:
    assert status(service, head, host) == 400


@pytest.mark.parametrize(("host", "answered"), [(HOST, 401), (TUNNEL, 404)], ids=["API", "tunnel"])
@pytest.mark.parametrize("head", FINE.values(), ids=FINE)
def test_a_head_with_one_meaning_is_let_in(service: Service, head: str, host: str, answered: int) -> None:
    assert status(service, head, host) == answered


def test_a_short_answer_wakes_its_reader_once(service: Service) -> None:
    port = int(service.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for _ in range(20):
            connection.sendall(FINE["a plain request"].replace("{host}", f"127.0.0.1:{port}").encode())
            head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            assert f"content-length: {len(body)}\r\n".encode() in head


@pytest.mark.parametrize("host", [b"localhost", b"a.b-c_d:80", b"[::1]", b"[::1]:80", b"10.0.0.1:1", b""])
def test_names_of_hosts(host: bytes) -> None:
    assert check_head("1.1", b"/", [(b"host", host)]) is None
