"""The SDK beside the official client, both on one server of canned answers: what a call costs on the client's side."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from runloop_api_client import AsyncRunloopSDK as Official

from benchmarks.canned_server import EVENTS
from benchmarks.imports import printed
from benchmarks.measure import Row, paired_ms
from runloop_sdk import AsyncRunloopSDK

DELAY_MS = 50
MB = 1_000_000
GIB = 1024**3
KEY = "key"
Client = Any  # either package's; they share no base class
# Runs in a process of its own, so that its peak of memory is that of the transfer.
TRANSFER = """
import asyncio, re, resource
from pathlib import Path
from runloop_sdk import AsyncRunloopSDK

def peak():
    status = Path("/proc/self/status")  # on Linux getrusage begins with what the parent had
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2

async def down(sdk, size):
    count = 0
    async with sdk.api.devboxes.download_file_stream("dbx_1", path=str(size)) as pieces:
        async for piece in pieces:
            count += len(piece)
    assert count == size, count

async def up(sdk, size):
    with open("{file}", "wb") as file:
        file.truncate(size)
    await sdk.api.devboxes.upload_file("dbx_1", path="x", file=Path("{file}"))

async def main():
    async with AsyncRunloopSDK(bearer_token="key", base_url="{url}") as sdk:
        await {way}(sdk, 1 << 20)
        before = peak()
        await {way}(sdk, {size})
        print(peak() - before)

asyncio.run(main())
"""


@asynccontextmanager
async def canned_server(delay_ms: float = 0) -> AsyncIterator[str]:
    """The URL of a server in a process of its own."""
    arguments = ["-m", "benchmarks.canned_server", str(delay_ms)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def clients(url: str) -> AsyncIterator[tuple[AsyncRunloopSDK, Official]]:
    """Both packages' clients of one server."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(AsyncRunloopSDK(bearer_token=KEY, base_url=url))
        yield ours, await stack.enter_async_context(Official(bearer_token=KEY, base_url=url))


async def calls() -> list[Row]:
    """Short calls, in turn."""
    async with canned_server() as url, clients(url) as (ours, peer):
        info = await paired_ms(lambda: get_info(ours), lambda: get_info(peer), 300)
        many = await paired_ms(lambda: at_once(ours), lambda: at_once(peer), 15)
        run = await paired_ms(lambda: execute(ours), lambda: execute(peer), 200)
        page = await paired_ms(lambda: list_page(ours), lambda: list_page(peer), 15)
    return [
        Row("devbox.get_info()", info[0] * 1000, "us", info[1] * 1000, "official", "<= x0.50"),
        Row("  64 at once", many[0], "ms", many[1], "official", "<= x0.33"),
        Row('devbox.cmd.exec("true")', run[0] * 1000, "us", run[1] * 1000, "official", "<= x0.20"),
        Row("a page of 1,000 devboxes", page[0], "ms", page[1], "official", "<= x0.125"),
    ]


async def get_info(sdk: Client) -> object:
    return await sdk.devbox.from_id("dbx_1").get_info()


async def at_once(sdk: Client) -> object:
    return await asyncio.gather(*(get_info(sdk) for _ in range(64)))


async def execute(sdk: Client) -> object:
    return await (await sdk.devbox.from_id("dbx_1").cmd.exec("true")).stdout()


async def list_page(sdk: Client) -> None:
    page = await sdk.api.devboxes.list(limit=1000)
    assert len(page.items if isinstance(sdk, AsyncRunloopSDK) else page.devboxes) == 1000


async def bulk() -> list[Row]:
    """Long answers, in turn."""
    async with canned_server() as url, clients(url) as (ours, peer):
        events = await paired_rate(lambda: read_events(ours), lambda: read_events(peer), EVENTS / 1000)
        output = await paired_rate(lambda: read_output(ours), lambda: read_output(peer), EVENTS / 1000)
        down = await paired_rate(lambda: download(ours), lambda: download(peer), GIB / 4 / MB)
    return [
        Row("server-sent events, in thousands", events[0], "k/s", events[1], "official", ">= x15"),
        Row("  the same through a callback", output[0], "k/s", output[1], "official"),
        Row("download", down[0], "MB/s", down[1], "official", ">= x1.80"),
    ]


async def paired_rate(
    ours: Callable[[], Awaitable[object]], peers: Callable[[], Awaitable[object]], amount: float
) -> tuple[float, float]:
    """How much of `amount` a second, median of turns."""
    mine, theirs = await paired_ms(ours, peers, 3)
    return amount / mine * 1000, amount / theirs * 1000


async def read_events(sdk: Client) -> None:
    count = 0
    async for _ in await sdk.api.devboxes.executions.stream_stdout_updates("flood", devbox_id="dbx_1"):
        count += 1
    assert count == EVENTS, count


async def read_output(sdk: Client) -> None:
    """The canned server names an execution after its command."""
    lines = 0

    def count(text: str) -> None:
        nonlocal lines
        lines += text.count("\n")

    await (await sdk.devbox.from_id("dbx_1").cmd.exec_async("flood", stdout=count)).result()
    assert lines == EVENTS, lines


async def download(sdk: Client) -> None:
    assert len(await sdk.devbox.from_id("dbx_1").file.download(path=str(GIB // 4))) == GIB // 4


async def memory() -> list[Row]:
    """A process for each way."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        file = Path(folder) / "sparse"
        async with canned_server() as url:
            grown = {way: await _transfer(url, file, way) for way in ("up", "down")}
    return [Row(f"2 GiB {way}load: memory grows by", mb, "MB", goal="< 32 MB") for way, mb in grown.items()]


async def _transfer(url: str, file: Path, way: str) -> float:
    return await printed(TRANSFER.format(url=url, file=file, way=way, size=2 * GIB))


async def delayed() -> list[Row]:
    """What round trips cost."""
    async with canned_server(DELAY_MS) as url, clients(url) as (ours, peer):
        run = await paired_ms(lambda: execute(ours), lambda: execute(peer), 7)
        first = statistics.median([await first_output_ms(ours) for _ in range(7)])
        theirs = statistics.median([await first_output_ms(peer) for _ in range(7)])
    return [
        Row(f"exec over a line of {DELAY_MS} ms", run[0], "ms", run[1], "official", "1 round trip"),
        Row("  first byte of its output", first, "ms", theirs, "official", f"<= {1.2 * DELAY_MS:.0f} ms"),
    ]


async def first_output_ms(sdk: Client) -> float:
    """From asking to the first call of the callback."""
    seen: list[float] = []
    start = time.perf_counter()
    await sdk.devbox.from_id("dbx_1").cmd.exec("true", stdout=lambda _: seen.append(time.perf_counter()))
    return (seen[0] - start) * 1000
