"""What loading costs: beyond IPython itself, beside what it cannot do without, and beside the official client."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys

from benchmarks.measure import Row

LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.perf_counter()
import runloop_jupyter
runloop_jupyter.load_ipython_extension(shell)
print((time.perf_counter() - start) * 1000)
"""
MAGICS = """
import time, asyncio, IPython
start = time.perf_counter()
import runloop_jupyter.kernel.loop, runloop_jupyter.output.cell_output, runloop_jupyter.output.transcript
print((time.perf_counter() - start) * 1000)
"""
TIMED = "import time; start = time.perf_counter(); {code}; print((time.perf_counter() - start) * 1000)"
CLIENT = "from {package} import AsyncRunloopSDK; AsyncRunloopSDK(bearer_token='key', base_url='http://127.0.0.1:9')"


async def load() -> list[Row]:
    """In fresh processes."""
    return [
        Row("import runloop_jupyter + %load_ext", await median_of_processes(LOAD), "ms", goal="< 10 ms"),
        Row("import what runs a magic and shows its output", await median_of_processes(MAGICS), "ms", goal="< 6 ms"),
    ]


async def client() -> list[Row]:
    """In fresh processes, in turn."""
    ours, official = [CLIENT.format(package=package) for package in ("runloop_sdk", "runloop_api_client")]
    codes = [ours, official, "import pydantic, ssl"]
    mine, theirs, bare = await medians_of_processes([TIMED.format(code=code) for code in codes])
    return [
        Row("import runloop_sdk and make a client", mine, "ms", bare, "import pydantic, ssl", "<= x1.2"),
        Row("  the same beside the official one", mine, "ms", theirs, "official", "<= x0.66"),
    ]


async def median_of_processes(code: str, times: int = 3) -> float:
    """The median of the number that `code` prints in a fresh interpreter, after one that compiles what is new."""
    return (await medians_of_processes([code], times))[0]


async def medians_of_processes(codes: list[str], times: int = 3) -> list[float]:
    """The same for several that take turns."""
    turns = [[await printed(code) for code in codes] for _ in range(1 + times)]
    return [statistics.median(found) for found in zip(*turns[1:], strict=True)]


async def printed(code: str) -> float:
    """The number that `code` prints in a fresh interpreter, which may keep what it compiles."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=env)
    out, _ = await process.communicate()
    return float(out.split()[-1])
