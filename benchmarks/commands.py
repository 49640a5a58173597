"""Commands through the SDK and the embedded service, beside the official client and a bare subprocess."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Protocol

from runloop_api_client import AsyncRunloopSDK as Official

from benchmarks.measure import Row, median_ms, paired_ms
from benchmarks.running import running_service
from runloop_sdk import AsyncDevbox, AsyncRunloopSDK

MEGABYTES = 64
CLIENTS, EACH_MEGABYTES = 50, 2
FLOOD = f"head -c {MEGABYTES * 1024 * 1024} /dev/zero | tr '\\0' 'x' | fold -w 99"


class Execution(Protocol):
    """A running command of either client."""

    async def result(self) -> object:
        """Its result, once it has ended."""


class Commands(Protocol):
    """The commands of a devbox of either client."""

    async def exec(self, command: str, *, stdout: Callable[[str], None]) -> object:
        """Run a command and wait for its end."""

    async def exec_async(self, command: str, *, stdout: Callable[[str], None]) -> Execution:
        """Start a command."""


class Devbox(Protocol):
    """A devbox of either client."""

    @property
    def cmd(self) -> Commands:
        """Its commands."""


async def run() -> list[Row]:
    """One service, one devbox, both clients in turn."""
    async with running_service() as service:
        key, url = service.api_key, service.base_url
        async with (
            AsyncRunloopSDK(bearer_token=key, base_url=url) as sdk,
            await sdk.devbox.create(name="bench") as devbox,
        ):
            async with Official(bearer_token=key, base_url=url) as official:
                peer = official.devbox.from_id(devbox.id)
                short = await paired_ms(lambda: devbox.cmd.exec("true"), lambda: peer.cmd.exec("true"), 50)
                first = await paired_ms(lambda: first_byte(devbox), lambda: first_byte(peer), 30)
                bare = await median_ms(bare_subprocess, 50)
                echo = await echoed_ms(devbox)
                return [
                    Row('cmd.exec("true")', short[0], "ms", short[1], "official"),
                    Row("  more than the same in a bare subprocess", short[0] - bare, "ms", goal="< 15 ms"),
                    Row("exec_async to the first byte of stdout", first[0], "ms", first[1], "official"),
                    Row("a line of input to the line that answers it", echo, "ms", goal="< 20 ms"),
                    *await many_clients(devbox),
                    Row(f"stdout, {MEGABYTES} MB streamed", *await throughput(devbox, peer), goal=">= 80 MB/s"),
                ]


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


async def bare_subprocess() -> None:
    """The same login shell, without a devbox around it."""
    environ = {"HOME": "/nonexistent", "PATH": "/usr/local/bin:/usr/bin:/bin"}  # no profile of this user's, as there
    process = await asyncio.create_subprocess_exec("/bin/bash", "-lc", "true", env=environ)
    await process.wait()


async def throughput(ours: Devbox, peer: Devbox) -> tuple[float, str, float, str]:
    """MB/s of both, one after the other."""
    return await megabytes_per_second(ours), "MB/s", await megabytes_per_second(peer), "official"


async def many_clients(devbox: AsyncDevbox) -> list[Row]:
    """Clients that stream at once: all together, and how unevenly they are served."""
    command = f"head -c {EACH_MEGABYTES * 1024 * 1024} /dev/zero | tr '\\0' 'x' | fold -w 99"

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
