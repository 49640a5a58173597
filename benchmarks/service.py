"""The embedded service: start, devboxes, memory, reads, what it costs when idle."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Row, median_ms
from benchmarks.running import Running, running_service
from runloop_sdk import AsyncDevbox, AsyncRunloopSDK

DEVBOXES = 200
READS, READERS = 4000, 8


async def run() -> list[Row]:
    """One service of its own, after some that only start."""
    ready = await ready_ms()
    async with running_service() as service:
        async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
            idle = await idleness(service.pid)
            reads = await reads_per_second(service)
            created: list[AsyncDevbox] = []

            async def create() -> None:
                created.append(await sdk.devbox.create())

            one = await median_ms(create, 15)
            before = tree_pss_mb(service.pid)
            start = time.perf_counter()
            await asyncio.gather(*(create() for _ in range(DEVBOXES - len(created))))
            many = (time.perf_counter() - start) * 1000
            memory = tree_pss_mb(service.pid)
            end = time.perf_counter()
            await asyncio.gather(*(devbox.shutdown() for devbox in created))
            ending = (time.perf_counter() - end) * 1000
    return [
        Row("service ready", ready, "ms", goal="< 700 ms"),
        Row("memory of the service when idle (PSS)", idle[0], "MB", goal="< 60 MB"),
        Row("  processor time that it takes then", idle[1], "ms/s", goal="~ 0"),
        Row("reads of the API by a client on raw sockets", reads, "/s", goal=">= 2000 /s"),
        Row("a devbox created and running", one, "ms", goal="< 36-38 ms"),
        Row(f"{DEVBOXES} devboxes running: the last {DEVBOXES - 16} took", many, "ms"),
        Row(f"memory of the service with {DEVBOXES} running devboxes (PSS)", memory, "MB", goal="< 1500 MB"),
        Row("  with the first 16", before, "MB"),
        Row(f"{DEVBOXES} devboxes shut down", ending, "ms"),
    ]


async def ready_ms() -> float:
    """From the start of the program to its first answer: the median of five, after one that compiles what is new."""
    found = []
    for _ in range(6):
        async with running_service() as service:
            found.append(service.ready_ms)
    return statistics.median(found[1:])


async def idleness(pid: int) -> tuple[float, float]:
    """Memory in MB, and milliseconds of processor time for each second, while nobody asks for anything."""
    before = processor_ms(pid)
    await asyncio.sleep(3)
    return tree_pss_mb(pid), (processor_ms(pid) - before) / 3


def processor_ms(pid: int) -> float:
    """What a process has used so far (Linux; 0 elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def reads_per_second(service: Running) -> float:
    """`GET /v1/devboxes/{id}` over a few connections; the client is as thin as can be, and has the other core."""
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
        async with await sdk.devbox.create() as devbox:
            where = urlsplit(service.base_url)
            head = f"GET /v1/devboxes/{devbox.id} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            request = f"{head}Authorization: Bearer {service.api_key}\r\n\r\n".encode()
            start = time.perf_counter()
            await asyncio.gather(*(read(where.port or 80, request, READS // READERS) for _ in range(READERS)))
            return READS / (time.perf_counter() - start)


async def read(port: int, request: bytes, times: int) -> None:
    """The same request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(times):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()


def tree_pss_mb(root: int) -> float:
    """The proportional memory of a process and everything below it, in MB (Linux; 0 elsewhere)."""
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid)) is not None}
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(_pss_kb(pid) for pid in tree) / 1000


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _pss_kb(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
