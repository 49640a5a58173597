"""An embedded service of the benchmark's own, on a free port."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from runloop_sdk import AsyncRunloopSDK


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers."""

    base_url: str
    api_key: str
    pid: int
    ready_ms: float


@asynccontextmanager
async def running_service(data: str | None = None) -> AsyncIterator[Running]:
    """Start `runloop-local serve`, as a user's Python does it, on `data` or on nothing, and end it at the end."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["RUNLOOP_LOCAL_API_KEY"] = "bench"
    with tempfile.TemporaryDirectory(prefix="runloop-bench-", ignore_cleanup_errors=True) as folder:
        start = time.perf_counter()
        arguments = ["-m", "runloop_local", "serve", "--data-dir", data or folder]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env=env
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        ready = (time.perf_counter() - start) * 1000
        assert line.startswith("ready "), f"the service did not start: {line!r}"
        try:
            yield Running(line.split()[1], "bench", process.pid, ready)
        finally:
            process.terminate()
            await process.wait()


def client_of(service: Running) -> AsyncRunloopSDK:
    """A client of that service."""
    return AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url)
