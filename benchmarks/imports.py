"""What loading costs beyond IPython itself."""

from __future__ import annotations

import asyncio
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
OURS = "import time; s=time.perf_counter(); import runloop_sdk; print((time.perf_counter()-s)*1000)"
PEER = OURS.replace("runloop_sdk", "runloop_api_client")


async def run() -> list[Row]:
    """Medians over fresh processes."""
    load = await median_of_processes(LOAD)
    ours, peer = await median_of_processes(OURS), await median_of_processes(PEER)
    return [
        Row("import runloop_jupyter + %load_ext", load, "ms", goal="< 10 ms"),
        Row("import runloop_sdk", ours, "ms", peer, "official", "<= x0.66"),
    ]


async def median_of_processes(code: str, times: int = 7) -> float:
    """The median of the number that `code` prints in a fresh interpreter."""
    return statistics.median([await _printed(code) for _ in range(times)])


async def _printed(code: str) -> float:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return float(out.split()[-1])
