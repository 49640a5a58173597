"""The embedded service: start, devboxes, memory."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from benchmarks.measure import Row, median_ms
from benchmarks.running import running_service
from runloop_sdk import AsyncDevbox, AsyncRunloopSDK

DEVBOXES = 100


async def run() -> list[Row]:
    """One service of its own."""
    async with running_service() as service:
        async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
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
        Row("service ready", service.ready_ms, "ms", goal="< 700 ms"),
        Row("a devbox created and running", one, "ms"),
        Row(f"{DEVBOXES} devboxes running: the last {DEVBOXES - 16} took", many, "ms"),
        Row(f"memory of the service with {DEVBOXES} running devboxes (PSS)", memory, "MB", goal="< 1000 MB"),
        Row("  with the first 16", before, "MB"),
        Row(f"{DEVBOXES} devboxes shut down", ending, "ms"),
    ]


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
