"""Bodies that are saved to files: the bytes, errors and connections of those that are read."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from runloop_sdk import APIConnectionError, APITimeoutError, AsyncRunloopSDK, LocalFileError
from runloop_sdk._transport import Transport
from tests.sdk.raw_server import RawServer, drip, serving, whole
from tests.sdk.test_transport import BODIES, GET, connect
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from typing_extensions import Buffer

LARGE = os.urandom(20_000_001)
STALLED = whole(LARGE)[:-1]


async def save(transport: Transport, file: BinaryIO, sizes: list[int]) -> None:
    """Save the answer to a request, and note the sizes of its pieces."""
    async with transport.open(GET) as answer:
        async for size in transport.saved(answer, GET, file):
            sizes.append(size)  # noqa: PERF401 - those before an error are wanted


async def saved(transport: Transport, file: BinaryIO) -> int:
    """Save the answer to a request; its size."""
    sizes: list[int] = []
    await save(transport, file, sizes)
    return sum(sizes)


@asynccontextmanager
async def saving(server: RawServer, path: Path, **options: float) -> AsyncIterator[tuple[Transport, asyncio.Task[int]]]:
    """A client that saves the answer of this server, and its task."""
    async with server.serve() as url:
        transport = connect(url, **options)
        with path.open("wb", buffering=0) as file:
            yield transport, asyncio.create_task(saved(transport, file))
        await transport.aclose()


async def arrived(path: Path, size: int) -> None:
    """Wait until so many bytes are in the file."""
    async with asyncio.timeout(PATIENCE):
        while os.stat(path).st_size < size:  # noqa: ASYNC110 - a file has no event for it
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("answer", BODIES.values(), ids=BODIES.keys())
async def test_answer_in_every_form_is_saved_whole(answer: bytes, tmp_path: Path) -> None:
    async with saving(RawServer(answer, ends=True), tmp_path / "x") as (_, task):
        assert await task == 5
    assert (tmp_path / "x").read_bytes() == b"hello"


async def test_large_body_is_saved_and_its_connection_kept(tmp_path: Path) -> None:
    server = RawServer(whole(LARGE), whole(b"small"), whole(LARGE))
    async with server.serve() as url:
        transport = connect(url)
        for name, data in (("a", LARGE), ("b", b"small"), ("c", LARGE)):
            with (tmp_path / name).open("wb") as file:
                assert await saved(transport, file) == len(data)
            assert (tmp_path / name).read_bytes() == data
        assert (await transport.send(GET)).content == LARGE
        await transport.aclose()
    assert server.connections == 1


@pytest.mark.parametrize("header", [b"connection: close\r\n", b""], ids=["asked to", "not asked to"])
async def test_connection_is_closed_where_the_server_says_so(header: bytes, tmp_path: Path) -> None:
    server = RawServer(whole(LARGE, headers=header))
    async with server.serve() as url:
        transport = connect(url)
        for _ in range(2):
            with (tmp_path / "x").open("wb") as file:
                await saved(transport, file)
        await transport.aclose()
    assert server.connections == (2 if header else 1)


async def test_cut_body_is_told_after_what_came_of_it(tmp_path: Path) -> None:
    sizes: list[int] = []
    async with RawServer(STALLED, ends=True).serve() as url:
        transport = connect(url)
        with (tmp_path / "x").open("wb") as file:
            with pytest.raises(APIConnectionError, match="was cut during GET /v1/x"):
                await save(transport, file, sizes)
        await transport.aclose()
    assert sum(sizes) == len(LARGE) - 1
    assert (tmp_path / "x").read_bytes() == LARGE[:-1]


async def test_silence_is_a_timeout(tmp_path: Path) -> None:
    server = RawServer(STALLED, stays=True)
    async with saving(server, tmp_path / "x", timeout=0.3) as (_, task):
        with pytest.raises(APITimeoutError, match="did not answer GET /v1/x in time"):
            await task
        await asyncio.wait_for(server.closed.wait(), PATIENCE)


async def test_time_limit_is_for_each_piece(tmp_path: Path) -> None:
    async with serving(drip) as url:
        transport = connect(url, timeout=1.2)
        with (tmp_path / "x").open("wb") as file:
            assert await saved(transport, file) == 30
        await transport.aclose()


async def test_cancelled_download_closes_its_connection_at_once(tmp_path: Path) -> None:
    server = RawServer(STALLED, stays=True)
    async with saving(server, tmp_path / "x") as (_, task):
        await arrived(tmp_path / "x", len(LARGE) - 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), PATIENCE)


async def test_steady_trickle_is_told_and_cancelled_as_soon_as_silence(tmp_path: Path) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.001)

    sizes: list[int] = []
    async with serving(trickle) as url:
        transport = connect(url)
        with (tmp_path / "x").open("wb", buffering=0) as file:
            task = asyncio.create_task(save(transport, file, sizes))
            await until(lambda: len(sizes) > 3, "pieces of the body")
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 2
        await transport.aclose()


async def test_download_that_is_cancelled_twice_leaves_its_file_to_nobody(tmp_path: Path) -> None:
    server = RawServer(STALLED, stays=True)
    async with server.serve() as url:
        transport = connect(url)
        with SlowFile(tmp_path / "x", "wb") as file:
            task = asyncio.create_task(saved(transport, file))
            await until(lambda: file.writing, "the thread to write")
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not file.writing
        await transport.aclose()


class SlowFile(FileIO):
    writing = False

    def write(self, data: "Buffer", /) -> int:
        self.writing = True
        time.sleep(0.2)
        try:
            return super().write(data)
        finally:
            self.writing = False


async def test_download_ends_with_its_client(tmp_path: Path) -> None:
    async with saving(RawServer(STALLED, stays=True), tmp_path / "x") as (transport, task):
        await arrived(tmp_path / "x", len(LARGE) - 1)
        await transport.aclose()
        with pytest.raises(APIConnectionError, match="This client was closed before"):
            await asyncio.wait_for(task, PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is a full disk")
@pytest.mark.parametrize("answer", [whole(b"x"), whole(LARGE)], ids=["small", "large"])
async def test_full_disk_is_an_error_of_the_file(answer: bytes) -> None:
    async with saving(RawServer(answer, stays=True), Path("/dev/full")) as (_, task):
        with pytest.raises(LocalFileError, match="No space left"):
            await task


@pytest.mark.parametrize("has_ranges", [True, False])
async def test_download_that_is_cut_goes_on_in_its_file(
    has_ranges: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 0.0)
    part, offsets, told = 7_000_000, list[int](), list[int]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "/download " in head:
            writer.write(whole(b'{"download_url": "%b/bytes"}' % url.encode()))
        else:
            asked = int(head.partition("range: bytes=")[2].partition("-")[0] or 0)
            offsets.append(asked)
            start = asked if has_ranges else 0
            status = b"206 Partial Content" if start else b"200 OK"
            response = whole(LARGE[start:], status=status)
            writer.write(response[: len(response) - len(LARGE) + asked + part])  # cut, unless that is all of it
        await writer.drain()

    async with serving(answer) as url, AsyncRunloopSDK(bearer_token="k", base_url=url) as sdk:
        await sdk.storage_object.from_id("obj_1").download_to(tmp_path / "x", progress=told.append)
    assert (tmp_path / "x").read_bytes() == LARGE
    assert offsets == [0, part, 2 * part]
    assert told[-1] == len(LARGE)
