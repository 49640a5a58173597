"""Commands through the SDK and the embedded service, beside the official client and bare shells and sockets."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from runloop_api_client import AsyncRunloopSDK as Official

from benchmarks.bare import RawClient, framed_megabytes_per_second
from benchmarks.measure import Row, median_ms, paired_ms
from benchmarks.running import Running, client_of, running_service
from runloop_sdk import AsyncDevbox

MEGABYTES = 64
CLIENTS, EACH_MEGABYTES = 50, 2
BARE_SHELLS = """exec python3 -c '
import statistics, subprocess, timeit
start = lambda: subprocess.run(["/bin/bash", "-lc", "true"])
print(statistics.median(timeit.repeat(start, number=1, repeat=20)) * 1000)'"""
FLOOD = f"head -c {MEGABYTES * 1024 * 1024} /dev/zero | tr '\\0' 'x' | fold -w 99"


class Execution(Protocol):
    """A running command of either client."""

    async def result(self) -> object:
        """Its result, once it has ended."""


class Commands(Protocol):
    """The commands of a devbox of either client."""

    async def exec(self, command: str, *, stdout: Callable[[str], None] = ...) -> object:
        """Run a command and wait for its end."""

    async def exec_async(self, command: str, *, stdout: Callable[[str], None]) -> Execution:
        """Start a command."""


class Devbox(Protocol):
    """A devbox of either client."""

    @property
    def cmd(self) -> Commands:
        """Its commands."""


async def short() -> list[Row]:
    """The shortest command: by both clients, by a bare connection, and as one more shell in the same devbox."""
    async with both() as (service, devbox, peer), RawClient(service) as raw:
        bare = await bare_shell_ms(devbox)
        ours, official = await paired_ms(lambda: devbox.cmd.exec("true"), lambda: peer.cmd.exec("true"), 30)
        _, by_socket = await paired_ms(lambda: devbox.cmd.exec("true"), lambda: raw.execute(devbox.id, "true"), 30)
        bare = statistics.median([bare, await bare_shell_ms(devbox)])
        first = await paired_ms(lambda: first_byte(devbox), lambda: first_byte(peer), 15)
    return [
        Row('cmd.exec("true")', ours, "ms", 2 * bare + 1, "2 bare shells there + 1 ms", "<= x1"),
        Row("  beside one bare shell in the same devbox", ours, "ms", bare, "bash -lc true"),
        Row("  the service's part, asked on a bare socket", by_socket, "ms", bare, "bash -lc true"),
        Row("  beside the official client", ours, "ms", official, "official"),
        Row("exec_async to the first byte of stdout", first[0], "ms", first[1], "official"),
    ]


async def echo() -> list[Row]:
    """Over the live stream of one command."""
    async with both() as (_, devbox, _peer):
        took = await echoed_ms(devbox)
    return [Row("a line of input to the line that answers it", took, "ms", goal="< 20 ms")]


async def throughput() -> list[Row]:
    """One after the other."""
    async with both() as (_, devbox, peer):
        ours, official = await megabytes_per_second(devbox), await megabytes_per_second(peer)
        bare = await asyncio.to_thread(framed_megabytes_per_second, FLOOD)
    name = f"stdout, {MEGABYTES} MB streamed"
    return [
        Row(name, ours, "MB/s", bare, "the same frames by a bare relay", ">= x0.7"),
        Row("  beside the official client", ours, "MB/s", official, "official"),
    ]


async def many_clients() -> list[Row]:
    """Clients that stream at once: all together, and how unevenly they are served."""
    command = f"head -c {EACH_MEGABYTES * 1024 * 1024} /dev/zero | tr '\\0' 'x' | fold -w 99"
    async with both() as (_, devbox, _peer):

        async def one() -> float:
            await devbox.cmd.exec(command, stdout=lambda _: None)
            return time.perf_counter() - start

        start = time.perf_counter()
        seconds = await asyncio.gather(*(one() for _ in range(CLIENTS)))
    total = CLIENTS * EACH_MEGABYTES * 1024 * 1024 / max(seconds) / 1e6
    unevenness = max(seconds) / statistics.median(seconds)
    return [
        Row(f"{CLIENTS} clients that stream {EACH_MEGABYTES} MB each at once", total, "MB/s"),
        Row("  the last one's time over the median one's", unevenness, "x", goal="< 2 x"),
    ]


@asynccontextmanager
async def both() -> AsyncIterator[tuple[Running, AsyncDevbox, Devbox]]:
    """One service and one devbox of it, by both clients."""
    async with running_service() as service, client_of(service) as sdk, await sdk.devbox.create(name="bench") as devbox:
        async with Official(bearer_token=service.api_key, base_url=service.base_url) as official:
            yield service, devbox, official.devbox.from_id(devbox.id)


async def bare_shell_ms(devbox: AsyncDevbox) -> float:
    """A login shell that a program in the devbox starts, beside all that surrounds commands there."""
    return float(await (await devbox.cmd.exec(BARE_SHELLS)).stdout())


async def first_byte(devbox: Devbox) -> None:
    """From asking to the first callback."""
    seen = asyncio.Event()
    execution = await devbox.cmd.exec_async("echo x; sleep 0.01", stdout=lambda _: seen.set())
    await seen.wait()
    await execution.result()


async def echoed_ms(devbox: AsyncDevbox) -> float:
    """From sending a line to a command until what it prints is here, over its live stream."""
    execution = await devbox.cmd.exec_async("cat", attach_stdin=True)
    output = execution.output(["stdout"])

    async def echo() -> None:
        await execution.send_std_in("line\n")
        await anext(output)

    found = await median_ms(echo, 50)
    await execution.close_std_in()
    await execution.result()
    return found


async def megabytes_per_second(devbox: Devbox) -> float:
    """Streams a flood through a callback and checks that all of it came."""
    size = 0

    def count(text: str) -> None:
        nonlocal size
        size += len(text)

    start = time.perf_counter()
    await devbox.cmd.exec(FLOOD, stdout=count)
    seconds = time.perf_counter() - start
    assert size >= MEGABYTES * 1024 * 1024, f"only {size} bytes came"
    return size / seconds / 1e6
