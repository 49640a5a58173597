"""What loading costs beyond IPython itself."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile

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
OURS = "import time; s=time.perf_counter(); import runloop_sdk; print((time.perf_counter()-s)*1000)"
PEER = OURS.replace("runloop_sdk", "runloop_api_client")


async def run() -> list[Row]:
    """Medians over fresh processes."""
    load, magics = await median_of_processes(LOAD), await median_of_processes(MAGICS)
    ours, peer = await median_of_processes(OURS), await median_of_processes(PEER)
    return [
        Row("import runloop_jupyter + %load_ext", load, "ms", goal="< 10 ms"),
        Row("import what runs a magic and shows its output", magics, "ms", goal="< 6 ms"),
        Row("import runloop_sdk", ours, "ms", peer, "official", "<= x0.66"),
    ]


async def median_of_processes(code: str, times: int = 7) -> float:
    """The median of the number that `code` prints in a fresh interpreter, after one that compiles what is new."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        found = [await printed(code, env) for _ in range(1 + times)]
    return statistics.median(found[1:])


async def printed(code: str, env: dict[str, str] | None = None) -> float:
    """The number that `code` prints in a fresh interpreter."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=env)
    out, _ = await process.communicate()
    return float(out.split()[-1])
