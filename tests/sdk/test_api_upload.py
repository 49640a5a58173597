"""Uploads: streamed in constant memory, sent again where that is possible."""

import io
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from runloop_sdk import ConfigurationError, LocalFileError, ServerError
from runloop_sdk._config import resolve_config
from runloop_sdk._transport import IDEMPOTENCY_HEADER, Transport
from runloop_sdk._upload import PIECE
from runloop_sdk.api._client import AsyncRunloopAPI

DATA = os.urandom(2 * PIECE + 17)
MiB = 1 << 20


class Server(httpx.AsyncBaseTransport):
    """Reads each request as it comes; answers with the given statuses, then with 200."""

    def __init__(self, *statuses: int, keep: bool = True, before_body: Callable[[], object] = lambda: None) -> None:
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.largest = self.size = 0
        self._statuses = [*statuses]
        self._keep = keep
        self._before_body = before_body

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self._before_body()
        pieces: list[bytes] = []
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for piece in request.stream:
            self.largest, self.size = max(self.largest, len(piece)), self.size + len(piece)
            pieces += [piece] if self._keep else []
        self.bodies.append(b"".join(pieces))
        return httpx.Response(self._statuses.pop(0) if self._statuses else 200, json={})

    @property
    def api(self) -> AsyncRunloopAPI:
        config = resolve_config(bearer_token="key", base_url="http://api.test", environ={}, max_retries=2)
        return AsyncRunloopAPI(Transport(config, httpx.AsyncClient(transport=self)))

    def parts(self, index: int = -1) -> dict[str, Message]:
        """The parts of a body by name."""
        content_type = self.requests[index].headers["content-type"]
        whole = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + self.bodies[index])
        parts: Any = whole.get_payload()
        return {str(part.get_param("name", header="content-disposition")): part for part in parts}

    def file(self, index: int = -1) -> bytes:
        payload = self.parts(index)["file"].get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload


class Chunks:
    """An async iterable that can be read again."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), 100_000):
            yield DATA[start : start + 100_000]


class OneWay(io.BytesIO):
    """A file that cannot be sought, like a pipe."""

    def seekable(self) -> bool:
        return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / 'odd "name".bin'
    file.write_bytes(DATA)
    return file


def source(form: str, path: Path) -> Any:
    file = io.BytesIO(b"skipped" + DATA)
    file.seek(7)
    return {
        "bytes": DATA,
        "path": path,
        "file": file,
        "iterable": Chunks(),
        "iterator": Chunks().__aiter__(),
        "pipe": OneWay(DATA),
    }[form]


SIZED, REPLAYABLE, ONCE = ["bytes", "path", "file"], ["bytes", "path", "file", "iterable"], ["iterator", "pipe"]


@pytest.mark.parametrize("form", REPLAYABLE + ONCE)
async def test_upload_sends_path_and_file(form: str, path: Path) -> None:
    server = Server()
    await server.api.devboxes.upload_file("box", path="to/ü.bin", file=source(form, path))
    assert server.file() == DATA
    assert server.parts()["path"].get_payload(decode=True) == "to/ü.bin".encode()
    headers = server.requests[0].headers
    if form in SIZED:
        assert int(headers["content-length"]) == len(server.bodies[0])
    else:
        assert headers["transfer-encoding"] == "chunked"
    assert "content-length" in headers or form not in SIZED


async def test_name_of_the_file_is_told(path: Path) -> None:
    server = Server()
    await server.api.devboxes.upload_file("box", path="a", file=path)
    assert 'filename="odd %22name%22.bin"' in str(server.parts()["file"]["content-disposition"])


@pytest.mark.parametrize("form", REPLAYABLE)
async def test_what_can_be_read_again_is_sent_again(form: str, path: Path, no_backoff: None) -> None:
    server = Server(503, 503)
    await server.api.devboxes.upload_file("box", path="a", file=source(form, path))
    assert [server.file(index) for index in range(3)] == [DATA] * 3
    assert len({request.headers[IDEMPOTENCY_HEADER] for request in server.requests}) == 1


@pytest.mark.parametrize("form", ONCE)
async def test_what_can_be_read_once_is_sent_once(form: str, path: Path) -> None:
    server = Server(503)
    with pytest.raises(ServerError):
        await server.api.devboxes.upload_file("box", path="a", file=source(form, path))
    assert len(server.requests) == 1


async def test_file_that_grows_meanwhile_keeps_its_promised_length(path: Path) -> None:
    server = Server(before_body=lambda: path.write_bytes(DATA + b"more"))
    await server.api.devboxes.upload_file("box", path="a", file=path)
    assert server.file() == DATA


async def test_large_upload_takes_little_memory(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(256 * MiB)
    server = Server(keep=False)
    tracemalloc.start()
    await server.api.devboxes.upload_file("box", path="a", file=big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert server.size > 256 * MiB
    assert server.largest <= PIECE
    assert peak < 8 * MiB


async def test_missing_file_raises_before_anything_is_sent(tmp_path: Path) -> None:
    server = Server()
    with pytest.raises(LocalFileError):
        await server.api.devboxes.upload_file("box", path="a", file=tmp_path / "nothing")
    assert server.requests == []


async def test_text_is_refused_with_what_to_pass_instead() -> None:
    with pytest.raises(ConfigurationError, match=r"a str: pass bytes, a pathlib\.Path"):
        await Server().api.devboxes.upload_file("box", path="a", file="text")  # type: ignore[arg-type]
