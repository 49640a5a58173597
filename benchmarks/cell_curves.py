"""How a notebook's costs grow: with output, executions, devboxes. `python -m benchmarks.cell_curves FOLDER` draws."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

from jupyter_client.asynchronous.client import AsyncKernelClient

from benchmarks.cells import HELLO, LOAD, PEAK, STALL, execute, first_byte_ms, kernel
from benchmarks.curves import Measured, Subject, draw, exponents
from benchmarks.measure import Row
from benchmarks.running import running_service

_FRESH = "longest = 0.0"
_LONGEST = "print(longest * 1000)"
_RUN = """
for _ in range({count}):
    get_ipython().run_line_magic("devbox", "exec --quiet echo hello")
"""
_CREATE = """
import asyncio
created = await asyncio.gather(*(sdk.devbox.create(name=f"box{{n}}") for n in range({start}, {end})))
"""


async def output() -> Measured:
    """Bytes that one command prints into its cell."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, f"{LOAD}\n%devbox create --name bench")
        await execute(client, "%devbox exec true")
        await execute(client, STALL)
        for size in [10**power for power in range(3, 10)]:
            await execute(client, _FRESH)
            took = await _took_ms(
                client, f"%%devbox exec -o flood\nhead -c {size} /dev/zero | tr '\\0' 'x' | fold -w 99"
            )
            stall = float(await execute(client, _LONGEST))
            memory = float(await execute(client, PEAK))
            yield (
                size,
                {"the cell, ms": took, "longest stall of the loop, ms": stall, "the kernel's memory, MB": memory},
            )


async def executions() -> Measured:
    """Commands that the notebook has run before."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, f"{LOAD}\n%devbox create --name bench")
        count = 0
        for size in (1, 10, 100, 1000):
            await execute(client, _RUN.format(count=size - count))
            count = size
            shown = statistics.median([await first_byte_ms(client, HELLO) for _ in range(7)])
            memory = float(await execute(client, PEAK))
            yield size, {"the next cell's first byte, ms": shown, "the kernel's memory, MB": memory}


async def devboxes() -> Measured:
    """Devboxes that one cell runs a command on."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, f"{LOAD}\nimport runloop_jupyter\nsdk = await runloop_jupyter.sdk()")
        await execute(client, STALL)
        count = 0
        for size in (1, 5, 20, 100, 200):
            await execute(client, _CREATE.format(start=count, end=size))
            count = size
            await execute(client, _FRESH)
            took = await _took_ms(client, "%devbox exec --on all echo hello")
            stall = float(await execute(client, _LONGEST))
            yield size, {"the cell, for each devbox, ms": took / size, "longest stall of the loop, ms": stall}


async def _took_ms(client: AsyncKernelClient, code: str) -> float:
    start = time.perf_counter()
    await execute(client, code)
    return (time.perf_counter() - start) * 1000


SUBJECTS = {
    "cell-output": Subject(
        "Output of one command into its cell",
        "bytes",
        output,
        {"the cell, ms": 1.1, "longest stall of the loop, ms": 0.15, "the kernel's memory, MB": 0.15},
    ),
    "cell-executions": Subject(
        "Commands that a notebook has run",
        "commands",
        executions,
        {"the next cell's first byte, ms": 0.15, "the kernel's memory, MB": 0.15},
    ),
    "cell-devboxes": Subject(
        "Devboxes that one cell runs a command on",
        "devboxes",
        devboxes,
        {"the cell, for each devbox, ms": 0.15, "longest stall of the loop, ms": 1.1},
    ),
}


async def run() -> list[Row]:
    """The exponent of each of the notebook's costs."""
    return await exponents(SUBJECTS)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]), sys.argv[2:], SUBJECTS))
