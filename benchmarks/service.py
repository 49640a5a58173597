"""The embedded service: start, devboxes, memory, reads, what it costs when idle."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Row, median_ms, took_ms
from benchmarks.running import Running, client_of, running_service

DEVBOXES, SHELLS, STARTS = 200, 20, 3
IMPORTS = "import uvicorn, starlette.applications, pydantic, sqlite3"
READS, READERS = 4000, 8


async def ready() -> list[Row]:
    """From the start of the program to its first answer, beside the start of one that only loads what it stands on."""
    found = []
    for _ in range(1 + STARTS):  # the first compiles what is new
        async with running_service() as service:
            found.append((service.ready_ms, await took_ms(bare_imports)))
    ours, bare = [statistics.median(times) for times in zip(*found[1:], strict=True)]
    return [Row("service ready", ours, "ms", bare, "its imports", "<= x1.3")]


async def bare_imports() -> None:
    """A program that loads what any such service loads, and ends."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IMPORTS)
    await process.wait()


async def idle() -> list[Row]:
    """Nobody asks for anything, then reads alone."""
    async with running_service() as service:
        memory, processor = await idleness(service.pid)
        reads = await reads_per_second(service)
    return [
        Row("memory of the service when idle (PSS)", memory, "MB", goal="< 60 MB"),
        Row("  processor time that it takes then", processor, "ms in a second", goal="~ 0"),
        Row("reads of the API by a client on raw sockets", reads, "/s", goal=">= 2000 /s"),
    ]


async def create() -> list[Row]:
    """One after the other."""
    async with running_service() as service, client_of(service) as sdk:
        one = await median_ms(sdk.devbox.create, 15)
    return [Row("a devbox created and running", one, "ms", goal="< 36-38 ms")]


async def many() -> list[Row]:
    """All at once, beside shells that sleep."""
    async with running_service() as service, client_of(service) as sdk:
        await sdk.devbox.create()
        before = tree_pss_mb(service.pid)
        start = time.perf_counter()
        created = await asyncio.gather(*(sdk.devbox.create() for _ in range(DEVBOXES)))
        creating = time.perf_counter() - start
        each = (tree_pss_mb(service.pid) - before) / DEVBOXES
        end = time.perf_counter()
        await asyncio.gather(*(devbox.shutdown() for devbox in created))
        ending = time.perf_counter() - end
    shell = await sleeping_shell_mb()
    return [
        Row(f"{DEVBOXES} devboxes created at once", creating, "s", goal="<= 1.5 s"),
        Row("  memory for each (PSS)", each, "MB", shell, "a sleeping shell", "<= x2"),
        Row("  all of them shut down", ending, "s", goal="<= 1 s"),
    ]


async def sleeping_shell_mb() -> float:
    """Memory for each of many shells that wait for input."""
    pipe = asyncio.subprocess.PIPE
    shells = [await asyncio.create_subprocess_exec("/bin/bash", "-c", "read", stdin=pipe) for _ in range(SHELLS)]
    await asyncio.sleep(0.5)  # by then they have started; one that has not counts less
    memory = sum(tree_pss_mb(shell.pid) for shell in shells) / SHELLS
    for shell in shells:
        shell.kill()
        await shell.wait()
    return memory


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
    async with client_of(service) as sdk:
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
