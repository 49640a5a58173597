"""`%%devbox exec` in a real kernel."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from benchmarks.bare import RawClient, first_command
from benchmarks.imports import median_of_processes
from benchmarks.measure import Row, took_ms
from benchmarks.running import client_of, running_service
from tests.browser.panels import many_devboxes
from tests.own_state import kept_in

LOAD = "%load_ext runloop_jupyter"
FLOOD = "%%devbox exec -o flood\nhead -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 99"
CHECK = "print(len(flood.stdout.replace(chr(10), '')))"
PEAK = """
import re, resource
from pathlib import Path
status = Path("/proc/self/status")  # on Linux getrusage begins with what the parent had
print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) // 1024 if status.exists()
      else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2)
"""
WATCH = """
import asyncio, sys, time
longest = 0.0
async def watch():
    global longest
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - start - 0.01)
"""
STALL = f"{WATCH}\nwatcher = asyncio.get_running_loop().create_task(watch())"
IDLE = f"""{WATCH}
async def main():
    watcher = asyncio.create_task(watch())
    await asyncio.to_thread(sys.stdin.read)
    print(longest * 1000)
asyncio.run(main())
"""


HELLO = "%%devbox exec\necho hello"
BARE = "a bare interpreter"
SLEEP = "%%devbox exec\necho begun; sleep 1000"
MACHINERY = """
import time
from runloop_jupyter.output.cell_output import CellOutput
from runloop_jupyter.kernel.loop import run
from runloop_jupyter.output.terminal_text import EscapeFilter, LineFolder

def seconds(act):
    start = time.perf_counter()
    act()
    return time.perf_counter() - start

async def nothing(): pass

async def write():
    async with CellOutput() as cell:
        return seconds(lambda: [cell.write("stdout", "x") for _ in range(10_000)])

bars = "\\r\\x1b[32m 10%\\x1b[0m |####    |" * 34_000
each = seconds(lambda: [run(nothing()) for _ in range(2000)]) / 2000
written = run(write()) / 10_000
print("\\n", each * 1e6, written * 1e6, seconds(lambda: LineFolder().feed(EscapeFilter().feed(bars))) * 1e3)
"""


FAN_OUT = "%%devbox exec --on all -o r\nhead -c 5000000 /dev/zero | tr '\\0' 'x' | fold -w 99"
FAN_CHECK = "print(sum(len(each.stdout.replace(chr(10), '')) for each in r.values()))"
SPREAD = "d = sorted(each.duration for each in r.values()); print(d[-1] / d[len(d) // 2])"
SILENT = """
from runloop_jupyter.connection import Connection
from runloop_sdk import AsyncRunloopSDK  # as where a session is connected
session().client.connection = Connection("{base_url}", "bench")
"""
IN_FLIGHT = """
jobs = []
for number in range(1000):
    jobs.append(get_ipython().run_line_magic("devbox", "exec --bg --quiet --on box{{number % 20}} sleep 600"))
"""


async def first() -> list[Row]:
    """A fresh kernel, its service already running, beside a bare interpreter that imports, creates and runs alone."""
    async with running_service() as service:
        async with kernel(service.base_url, service.api_key) as client:  # compiles what is new
            await execute(client, f"{LOAD}\n%devbox exec true")
        bare = await median_of_processes(first_command(service))
        async with kernel(service.base_url, service.api_key) as client:
            await execute(client, LOAD)
            at_once = await first_byte_ms(client, HELLO)
        async with kernel(service.base_url, service.api_key) as client:
            await execute(client, LOAD)
            await asyncio.sleep(2)  # somebody types the next cell meanwhile
            typed = await first_byte_ms(client, HELLO)
    return [
        Row("first %%devbox exec, at once (Run All): first byte", at_once, "ms", bare, BARE, "<= x1.3"),
        Row("first %%devbox exec, typed after %load_ext: first byte", typed, "ms", goal="< 150 ms"),
    ]


async def first_with_service() -> list[Row]:
    """A fresh kernel without a service, beside the same bare interpreter and the bare start of a service."""
    async with running_service() as service:
        bare = await median_of_processes(first_command(service)) + service.ready_ms
    async with kernel() as client:
        await execute(client, LOAD)
        cold = await first_byte_ms(client, HELLO)
    return [Row("first %%devbox exec, its service not running", cold, "ms", bare, f"{BARE} + service", "<= x1.2")]


async def following() -> list[Row]:
    """A cell like the last one, beside its command on a bare socket and a cell that only prints."""
    async with running_service() as service, client_of(service) as sdk, await sdk.devbox.create() as devbox:
        async with kernel(service.base_url, service.api_key) as client, RawClient(service) as raw:
            await execute(client, f"{LOAD}\n%devbox use {devbox.id}")
            await first_byte_ms(client, HELLO)
            turns = [
                (
                    await first_byte_ms(client, HELLO),
                    await first_byte_ms(client, "print('hello')"),
                    await took_ms(lambda: raw.execute(devbox.id, "echo hello")),
                )
                for _ in range(15)
            ]
    ours, printed, executed = [statistics.median(times) for times in zip(*turns, strict=True)]
    name = "%%devbox exec, next cell: first byte"
    return [Row(name, ours, "ms", executed + printed, "exec + a cell that prints", "<= x1.5")]


async def flood() -> list[Row]:
    """A hundred megabytes of one command."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, LOAD)
        await execute(client, "%devbox create --name bench")
        await execute(client, STALL)
        before = int(await execute(client, PEAK))
        start = time.perf_counter()
        await execute(client, FLOOD)
        seconds = time.perf_counter() - start
        grown = int(await execute(client, PEAK)) - before
        stall = float(await execute(client, "print(longest * 1000)"))
        assert int(await execute(client, CHECK)) == 100_000_000, "the result does not have the whole output"
    return [
        Row("100 MB through a cell: took", seconds, "s"),
        Row("  the kernel's memory grew by", grown, "MB", goal="< 150 MB"),
        Row("  longest stall of its event loop", stall, "ms"),
    ]


async def fan_out() -> list[Row]:
    """A hundred megabytes of twenty commands."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, LOAD)
        for number in range(20):
            await execute(client, f"%devbox create --name box{number}")
        await execute(client, "%devbox exec true")
        await execute(client, STALL)
        before = int(await execute(client, PEAK))
        async with _idle_loop() as idle:
            start = time.perf_counter()
            await execute(client, FAN_OUT)
            seconds = time.perf_counter() - start
        stall = float(await execute(client, "print(longest * 1000)"))
        grown = int(await execute(client, PEAK)) - before
        spread = float(await execute(client, SPREAD))
        assert int(await execute(client, FAN_CHECK)) == 100_000_000, "the results do not have the whole output"
    return [
        Row("100 MB from 20 devboxes through one cell: took", seconds, "s"),
        Row("  the kernel's memory grew by", grown, "MB", goal="< 150 MB"),
        Row("  longest stall of its event loop", stall, "ms", idle[0], "a loop with nothing to do", "<= 50 ms"),
        Row("  the last devbox to end took, times the median", spread, "", goal="< 2"),
    ]


@asynccontextmanager
async def _idle_loop() -> AsyncIterator[list[float]]:
    """A loop of its own beside what runs; the list gets its longest stall, in milliseconds, at the end."""
    longest: list[float] = []
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IDLE, stdin=pipe, stdout=pipe)
    try:
        yield longest
    finally:
        out, _ = await process.communicate(b"")  # which ends its input
        longest.append(float(out))


async def in_flight() -> list[Row]:
    """A thousand commands at once."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, LOAD)
        for number in range(20):
            await execute(client, f"%devbox create --name box{number}")
        start = time.perf_counter()
        await execute(client, IN_FLIGHT)
        started = time.perf_counter() - start  # of 1,000, in seconds: of one, in milliseconds
        await asyncio.sleep(2)
        peak = int(await execute(client, PEAK))
        assert await execute(client, "print(sum(not job.done for job in jobs))") == "1000\n", "some have ended"
    return [
        Row("1,000 executions in flight: the whole kernel's memory", peak, "MB", goal="< 200 MB"),
        Row("  to start one", started, "ms"),
    ]


async def stop_and_restart() -> list[Row]:
    """How soon Stop gives the prompt back, and what a kernel's devboxes cost its restart."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        await execute(client, LOAD)
        for number in range(5):
            await execute(client, f"%devbox create --name box{number}")
        in_background = await _took_ms(execute(client, "%%devbox exec --bg -o job\nsleep 1000"))
        stops = [await _stopped_ms(client) for _ in range(5)]
        restart = await _took_ms(_manager_of(client).restart_kernel())
    return [
        Row("%%devbox exec --bg: the cell", in_background, "ms", goal="< 150 ms"),
        Row("Stop, to the end of the cell whose command it kills: median", statistics.median(stops), "ms"),
        Row("restart of a kernel with 5 devboxes: its end", restart, "ms", goal="< 2000 ms"),
    ]


def _manager_of(client: AsyncKernelClient) -> AsyncKernelManager:
    """The manager that started the client's kernel."""
    assert isinstance(client.parent, AsyncKernelManager)
    return client.parent


async def _stopped_ms(client: AsyncKernelClient) -> float:
    """From Stop to the end of a cell that runs a command."""
    begun = asyncio.Event()

    def show(message: dict[str, Any]) -> None:
        if "begun" in str(message["content"].get("text", "")):
            begun.set()

    running = asyncio.create_task(client.execute_interactive(SLEEP, output_hook=show, timeout=60))
    await begun.wait()
    start = time.perf_counter()
    await _manager_of(client).interrupt_kernel()
    await running
    return (time.perf_counter() - start) * 1000


async def machinery() -> list[Row]:
    """What the magics' own machinery costs."""
    async with running_service() as service, kernel(service.base_url, service.api_key) as client:
        each, write, flood = [float(part) for part in (await execute(client, MACHINERY)).split()[-3:]]
    return [
        Row("a coroutine run from a magic, beside the coroutine itself", each, "us", goal="< 1000 us"),
        Row("a text written into a cell's output", write, "us", goal="< 10 us"),
        Row("1 MB of redrawn progress bars made fit for a notebook", flood, "ms", goal="< 1000 ms"),
    ]


async def lists_and_completion() -> list[Row]:
    """A service with 1,000 devboxes, which answers at once, and then not at all."""
    with many_devboxes(1000) as base_url:
        async with kernel(base_url, "bench") as client:
            await execute(client, LOAD)
            await execute(client, "%devbox list --limit 1")
            listed = [await _took_ms(execute(client, "%devbox list")) for _ in range(5)]
            await execute(client, "%devbox create --help")
            known = [await _took_ms(client.complete("%devbox use box-99", reply=True)) for _ in range(9)]
            await asyncio.sleep(10.5)  # by then the names are no longer fresh
            asked = await _took_ms(client.complete("%devbox use box-99", reply=True))
    async with _silent_service() as base_url, kernel(base_url, "bench") as client:
        await execute(client, f"{LOAD}\nfrom runloop_jupyter.magics import current_session as session")
        await execute(client, SILENT.format(base_url=base_url))
        waited = await _took_ms(client.complete("%devbox use box-99", reply=True))
    return [
        Row("%devbox list of 1,000", statistics.median(listed), "ms", goal="< 250 ms"),
        Row("completing a name among 1,000, known: median", statistics.median(known), "ms", goal="< 50 ms"),
        Row("  known some time ago, asked for again", asked, "ms"),
        Row("  from a service that never answers", waited, "ms", goal="< 300 ms"),
    ]


async def _took_ms(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return (time.perf_counter() - start) * 1000


@asynccontextmanager
async def _silent_service() -> AsyncIterator[str]:
    """Takes connections and says nothing."""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def kernel(base_url: str | None = None, api_key: str = "") -> AsyncIterator[AsyncKernelClient]:
    """An IPython kernel with a home of its own, on that service or on one that it starts."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-", ignore_cleanup_errors=True) as home:
        environ = {**os.environ, "HOME": home, **kept_in(Path(home))}
        if base_url is not None:
            environ |= {"RUNLOOP_BASE_URL": base_url, "RUNLOOP_API_KEY": api_key}
        manager = AsyncKernelManager(kernel_name="python3")
        await manager.start_kernel(env=environ, cwd=Path(home), extra_arguments=["--log-level=ERROR"])
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        try:
            yield client
        finally:
            client.stop_channels()
            await manager.shutdown_kernel()
            if base_url is None:
                stop = [sys.executable, "-m", "runloop_local", "stop"]
                await (await asyncio.create_subprocess_exec(*stop, env=environ)).wait()


async def execute(client: AsyncKernelClient, code: str) -> str:
    """What `code` printed; raises what it raised."""
    printed: list[str] = []

    def show(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "error":
            raise RuntimeError(f"{content['ename']}: {content['evalue']}")
        if message["msg_type"] == "stream":
            printed.append(content["text"])

    await client.execute_interactive(code, output_hook=show, timeout=300)
    return "".join(printed)


async def first_byte_ms(client: AsyncKernelClient, code: str, text: str = "hello") -> float:
    """From sending a cell to the first message that shows `text`."""
    shown: list[float] = []
    start = time.perf_counter()
    await client.execute_interactive(code, output_hook=noting(text, shown), timeout=60)
    assert shown, "the cell showed nothing"
    await asyncio.sleep(0)
    return (shown[0] - start) * 1000


def noting(text: str, shown: list[float]) -> Callable[[dict[str, Any]], None]:
    """An output hook that notes when `text` is seen."""

    def show(message: dict[str, Any]) -> None:
        if text in str(message["content"].get("text", "")):
            shown.append(time.perf_counter())

    return show
