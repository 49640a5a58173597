"""Requests and answers on real sockets: what goes over them, when they are kept, and when they are closed."""

import asyncio
import gzip
import re
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from runloop_sdk import APIConnectionError, APITimeoutError, NotFoundError
from runloop_sdk._config import resolve_config
from runloop_sdk._transport import Request, Response, Transport
from tests.sdk.raw_server import Handler, RawServer, drip, serving, whole
from tests.waiting import PATIENCE

GET, POST = Request("GET", "/v1/x"), Request("POST", "/v1/x", json={"a": "ü"})


def connect(url: str, **options: Any) -> Transport:
    return Transport(resolve_config(bearer_token="key", base_url=url, environ={}, **options))


async def asked(*answers: bytes, request: Request = GET, ends: bool = False, **options: Any) -> Response:
    """The answer to a request to a server that sends these bytes."""
    async with RawServer(*answers, ends=ends).serve() as url:
        transport = connect(url, **options)
        try:
            return await transport.send(request)
        finally:
            await transport.aclose()


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


BODIES = {
    "with a length": whole(b"hello"),
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n",
    "until the end of the connection": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "compressed": whole(gzip.compress(b"hello"), headers=b"content-encoding: gzip\r\n"),
    "compressed by zlib": whole(zlib.compress(b"hello"), headers=b"content-encoding: deflate\r\n"),
    "compressed and in chunks": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"".join(b"1\r\n%c\r\n" % byte for byte in gzip.compress(b"hello"))
    + b"0\r\n\r\n",
    "compressed as nobody knows": whole(b"hello", headers=b"content-encoding: x-own\r\n"),
    "after an interim answer": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole(b"hello"),
    "from HTTP/1.0": whole(b"hello").replace(b"HTTP/1.1", b"HTTP/1.0"),
}


@pytest.mark.parametrize("answer", BODIES.values(), ids=BODIES.keys())
async def test_answer_in_every_form_is_read_whole(answer: bytes) -> None:
    assert (await asked(answer, ends=True)).content == b"hello"


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content"])
async def test_answer_without_a_body_is_empty(status: bytes) -> None:
    assert (await asked(whole(b"", status=status))).content == b""


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_connection_is_kept_for_the_next_request(size: int) -> None:
    server = RawServer(whole(b"x" * size))
    async with server.serve() as url:
        transport = connect(url)
        for _ in range(5):
            assert len((await transport.send(POST)).content) == size
        await transport.aclose()
    assert server.connections == 1


@pytest.mark.parametrize("header", [b"connection: close\r\n", b""], ids=["says so", "just does"])
async def test_connection_that_the_server_ends_is_not_used_again(header: bytes) -> None:
    server = RawServer(whole(b"x", headers=header), ends=True)
    async with server.serve() as url:
        transport = connect(url, max_retries=0)
        for _ in range(5):
            await transport.send(GET)
            await asyncio.sleep(0.01)
        await transport.aclose()
    assert server.connections == 5


async def test_end_of_a_connection_is_noticed_though_the_loop_was_busy() -> None:
    server = RawServer(whole(b"x"), ends=True)
    async with server.serve() as url:
        transport = connect(url, max_retries=0)
        await transport.send(GET)
        await server.closed.wait()
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - as a cell does that works without awaiting
        await transport.send(GET)
        await transport.aclose()


@pytest.mark.parametrize("own", [True, False], ids=["its own connections", "the caller's client"])
async def test_request_carries_what_the_api_needs(own: bool) -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url, httpx.AsyncClient() as client:
        headers = {"X-Team": "blue", "User-Agent": "mine"}
        config = resolve_config(bearer_token="key", base_url=url, environ={}, default_headers=headers)
        transport = Transport(config, None if own else client)
        await transport.send(Request("POST", "/v1/x", query={"q": "a b"}, json={"a": "ü"}, idempotency_key="once"))
        await transport.aclose()
    (head,) = server.heads
    assert head.startswith(("POST /v1/x?q=a+b HTTP/1.1\r\n", "POST /v1/x?q=a%20b HTTP/1.1\r\n"))
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
    assert fields["host"] == url.removeprefix("http://")
    assert (fields["authorization"], fields["x-request-id"]) == ("bearer key", "once")
    assert (fields["x-team"], fields["user-agent"], fields["content-type"]) == ("blue", "mine", "application/json")
    assert server.bodies == ['{"a":"ü"}'.encode()]


QUERIES = {
    "text": ({"a": "ü &=+/"}, "a=%C3%BC+%26%3D%2B%2F"),
    "truth": ({"a": True}, "a=true"),
    "list": ({"a": ["x", 1]}, "a=x&a=1"),
    "brackets": ({"metadata[a]": "b"}, "metadata%5Ba%5D=b"),
}


@pytest.mark.parametrize(("query", "sent"), QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("own", [True, False], ids=["its own connections", "the caller's client"])
async def test_query_means_the_same_on_every_way(query: dict[str, Any], sent: str, own: bool) -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url, httpx.AsyncClient() as client:
        config = resolve_config(bearer_token="key", base_url=url, environ={})
        transport = Transport(config, None if own else client)
        await transport.send(Request("GET", "/v1/ü", query=query))
        await transport.aclose()
    target = server.heads[0].split(" ")[1]
    assert target.partition("?")[0] == "/v1/%C3%BC"
    assert parse_qsl(target.partition("?")[2]) == parse_qsl(sent)


@pytest.mark.parametrize("headers", [{}, {"content-length": "12"}], ids=["in chunks", "with a length"])
async def test_body_is_sent_while_it_is_read(headers: dict[str, str]) -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url:
        transport = connect(url)
        content = lambda: pieces(b"hello ", b"", b"world!")  # noqa: E731 - a function, so that it can be sent again
        await transport.send(Request("POST", "/v1/x", content=content, headers=headers))
        await transport.send(GET)
        await transport.aclose()
    assert server.bodies == [b"hello world!", b""]
    assert server.connections == 1


async def test_answer_that_comes_before_the_body_was_sent_is_taken() -> None:
    endless = True

    async def body() -> AsyncIterator[bytes]:
        while endless:
            yield bytes(1 << 16)

    answer = whole(b'{"message": "too large"}', status=b"404 Too Large")

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(answer)
        await reader.read(-1)

    async with serving(refuse) as url:
        transport = connect(url)
        with pytest.raises(NotFoundError, match="too large"):
            await transport.send(Request("POST", "/v1/x", content=body()))
        await transport.aclose()


async def test_slow_reader_slows_the_server_down() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async with serving(flood) as url:
        transport = connect(url)
        async with transport.open(GET) as answer:
            body = transport.body(answer, GET)
            size = len(await anext(body))
            await asyncio.sleep(0.3)  # the server has the time to send everything
            assert sent < 20 << 20
            size += sum([len(piece) async for piece in body])
        assert size == 1000 << 16
        await transport.aclose()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"], ids=["head", "body"])
async def test_cancelled_request_closes_its_connection_at_once(answer: bytes) -> None:
    server = RawServer(answer, stays=True)
    async with server.serve() as url:
        transport = connect(url)
        task = asyncio.create_task(transport.send(GET))
        while not server.heads:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), PATIENCE)
        await transport.aclose()


async def test_body_that_is_left_early_closes_its_connection() -> None:
    server = RawServer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", stays=True)
    async with server.serve() as url:
        transport = connect(url)
        async with transport.open(GET):
            pass
        await asyncio.wait_for(server.closed.wait(), PATIENCE)
        await transport.aclose()


SILENT = {"no head": b"", "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"}


@pytest.mark.parametrize("answer", SILENT.values(), ids=SILENT.keys())
async def test_silence_between_two_pieces_is_a_timeout(answer: bytes) -> None:
    server = RawServer(answer, stays=True)
    async with server.serve() as url:
        transport = connect(url, timeout=0.3, max_retries=0)
        with pytest.raises(APITimeoutError, match="did not answer GET /v1/x in time"):
            await transport.send(GET)
        await asyncio.wait_for(server.closed.wait(), PATIENCE)
        await transport.aclose()


async def test_time_limit_is_for_each_piece_not_for_the_whole() -> None:
    async with serving(drip) as url:
        transport = connect(url, timeout=1.2, max_retries=0)
        assert (await transport.send(GET)).content == b"x" * 30
        await transport.aclose()


async def test_server_that_does_not_read_is_a_timeout() -> None:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(deaf) as url:
        transport = connect(url, timeout=0.1)
        with pytest.raises(APITimeoutError):
            await transport.send(Request("POST", "/v1/x", content=body()))
        await transport.aclose()


BROKEN = {
    "nothing": b"",
    "no HTTP": b"hello\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
    "half a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nx",
    "no last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
    "a wrong compression": whole(b"no gzip", headers=b"content-encoding: gzip\r\n"),
    "half a compressed body": whole(gzip.compress(b"hello")[:-9], headers=b"content-encoding: gzip\r\n"),
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_answer_is_told_as_what_it_is_and_is_asked_for_again(no_backoff: None, answer: bytes) -> None:
    foreign = answer in (BROKEN["no HTTP"], BROKEN["a wrong compression"], BROKEN["another protocol"])
    words = "answered GET /v1/x with what is no HTTP" if foreign else "was cut during GET /v1/x"
    with pytest.raises(APIConnectionError, match=words):
        await asked(answer, ends=True, max_retries=1)
    assert (await asked(answer, whole(b"{}"), ends=True, max_retries=1)).content == b"{}"


async def test_requests_at_once_have_a_connection_each_and_share_them_later() -> None:
    server = RawServer(whole(b"x"))
    async with server.serve() as url:
        transport = connect(url)
        for _ in range(3):
            await asyncio.gather(*(transport.send(GET) for _ in range(20)))
        await transport.aclose()
    assert server.connections == 20


def test_client_is_made_without_loading_a_second_http_client_or_the_models() -> None:
    make = "import sys, runloop_sdk; runloop_sdk.AsyncRunloopSDK(bearer_token='k', base_url='http://127.0.0.1:9')"
    loaded = subprocess.run([sys.executable, "-c", f"{make}; print(*sys.modules)"], capture_output=True, check=True)
    assert not {"httpx", "httpcore", "click", "pydantic", "urllib.request"} & {*loaded.stdout.decode().split()}


async def test_respx_stands_in_for_the_service_as_the_readme_has_it() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "respx.mock" in block]
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    await names["test_a_devbox_that_is_gone"]()


async def test_client_of_the_callers_own_is_used_with_its_settings_and_left_open() -> None:
    server = RawServer(whole(b"{}"))
    async with server.serve() as url, httpx.AsyncClient(headers={"x-mine": "yes"}) as client:
        transport = Transport(resolve_config(bearer_token="key", base_url=url, environ={}), client)
        await transport.send(GET)
        await transport.aclose()
        assert not client.is_closed
    assert "x-mine: yes" in server.heads[0]


PROXIES = {
    "proxy of the environment": ({"http_proxy": "{proxy}"}, "http://api.test", True),
    "host without proxy": ({"http_proxy": "{proxy}", "no_proxy": "127.0.0.1"}, "{direct}", False),
    "this machine": ({"http_proxy": "{proxy}", "all_proxy": "{proxy}"}, "{direct}", False),
}


@pytest.mark.parametrize(("environ", "base_url", "proxied"), PROXIES.values(), ids=PROXIES.keys())
async def test_proxy_of_the_environment_is_for_other_machines(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], base_url: str, proxied: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy, direct = RawServer(whole(b"{}")), RawServer(whole(b"{}"))
    async with proxy.serve() as proxy_url, direct.serve() as direct_url:
        for name, value in environ.items():
            monkeypatch.setenv(name, value.format(proxy=proxy_url))
        transport = connect(base_url.format(direct=direct_url), max_retries=0)
        await transport.send(GET)
        await transport.aclose()
    assert (len(proxy.heads), len(direct.heads)) == ((1, 0) if proxied else (0, 1))
    if proxied:
        assert re.match(r"GET http://api\.test/v1/x HTTP", proxy.heads[0])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return files


@asynccontextmanager
async def tls_server(certificate: tuple[Path, Path], handle: Handler) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with serving(handle, tls=context) as url:
        yield url.replace("http://127.0.0.1", "https://localhost")


async def test_tls_with_a_certificate_of_the_environment(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    size = 3 << 20
    server = RawServer(whole(bytes(size)))
    async with tls_server(certificate, server._handle) as url:
        transport = connect(url)
        for _ in range(3):
            body = lambda: pieces(*[bytes(1 << 18)] * 12)  # noqa: E731 - a function, so that it can be sent again
            assert len((await transport.send(Request("POST", "/v1/x", content=body))).content) == size
        await transport.aclose()
    assert [len(body) for body in server.bodies] == [size] * 3
    assert server.connections == 1


async def test_tls_is_decrypted_in_what_is_saved(
    certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 10_000
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with tls_server(certificate, RawServer(whole(data))._handle) as url:
        transport = connect(url)
        with (tmp_path / "x").open("wb") as file:
            async with transport.open(GET) as answer:
                assert sum([size async for size in transport.saved(answer, GET, file)]) == len(data)
        await transport.aclose()
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize("own", [True, False], ids=["its own connections", "the caller's client"])
async def test_certificate_that_is_not_trusted_is_named_at_once(
    certificate: tuple[Path, Path], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 1000.0)  # what tried again would do so too late
    monkeypatch.setattr("runloop_sdk._retry.LONGEST_DELAY", 1000.0)
    client = None if own else httpx.AsyncClient()
    async with tls_server(certificate, RawServer(whole(b""))._handle) as url:
        transport = Transport(resolve_config(bearer_token="key", base_url=url, environ={}), client)
        with pytest.raises(APIConnectionError, match=r"cannot be reached .*certificate verify failed") as caught:
            await asyncio.wait_for(transport.send(GET), PATIENCE)
        assert not caught.value.retryable
        await transport.aclose()
        await (client or transport).aclose()
