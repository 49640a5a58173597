"""Neighbours: what a devbox notices of another one that is at one of its limits.

The greedy one's client is a process of its own, with the lowest priority, as if on another machine: in this process it
would slow the client that is measured, whatever the service does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx

from benchmarks.measure import Row
from benchmarks.running import Running, running_service
from runloop_sdk import AsyncDevbox, AsyncRunloopSDK, RunloopError

TIMES = 15
_SETTLES_S = 1.5
_SERVER_PORT = 8000
_FILE = b"x" * 1_000_000
_HOLD = "import time; print(len(held), flush=True); time.sleep(1000)"
_FLOOD_MB = 3000
_PRINTERS = 20
_FLOOD = "timeout 1000 head -c {megabytes}M /dev/zero; sleep 1000"
_FLOOD_OF_TEXT = f"timeout 1000 yes $(seq 1000) | head -c {_FLOOD_MB}M; sleep 1000"
_ENDLESS_PAGE = f"""exec python3 -c '
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        while True: self.wfile.write(bytes(1 << 20))
http.server.ThreadingHTTPServer(("127.0.0.1", {_SERVER_PORT}), Page).serve_forever()'"""

# Each goes to a limit and stays there.
COMMANDS: Mapping[str, str] = {
    "spins on 8 threads": "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait",
    "starts all processes that it may": "bomb() { bomb | bomb & }; bomb; sleep 1000",
    "fills its memory again and again": """while :; do
python3 -c 'import time; held = b"x" * (1500 << 20); time.sleep(0.1)'; done""",
    "writes to its disk without end": "while :; do head -c 1500M /dev/zero > file; rm file; done",
    "prints without end": _FLOOD.format(megabytes=_FLOOD_MB),
    "opens all files that it may": f"""exec python3 -c '
held = []
try:
    while True: held.append(open("/dev/null"))
except OSError: pass
{_HOLD}'""",
    "has descriptors in flight": f"""exec python3 -c '
import array, os, socket
held, file = [], os.open("/dev/null", 0)
try:
    while len(held) < 4000:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        held += pair
        pair[0].setblocking(False)
        try:
            files = array.array("i", [file] * 250)
            while True: pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        except BlockingIOError: pass
except OSError: pass
{_HOLD}'""",
    "watches folders": f"""exec python3 -c '
import ctypes
libc, held = ctypes.CDLL(None), []
while (handle := libc.inotify_init()) >= 0: held.append(handle)
{_HOLD}'""",
    "holds connections to the proxy": f"""exec python3 -c '
import os, socket
from urllib.parse import urlsplit
proxy, held = urlsplit(os.environ["https_proxy"]), []
try:
    while len(held) < 3000:
        held.append(socket.create_connection((proxy.hostname, proxy.port), 1))
        held[-1].send(b"CONNECT ")
except OSError: pass
{_HOLD}'""",
}


async def print_at_once(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    """Print in many commands at once."""
    flood = _FLOOD.format(megabytes=_FLOOD_MB // _PRINTERS)
    await asyncio.gather(*(devbox.cmd.exec(flood) for _ in range(_PRINTERS)))


async def follow(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    """Print to a client."""
    await devbox.cmd.exec(_FLOOD_OF_TEXT, stdout=lambda _: None)


async def read_file(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    """Read a file that has no end, and keep none of it."""
    async with sdk.api.devboxes.download_file_stream(devbox.id, path="/dev/zero") as pieces:
        async for _ in pieces:
            pass


async def write_file(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    """Write a large file over and over."""
    content = bytes(256 << 20)
    while True:
        await devbox.file.upload(path="file", file=content)


async def read_page(_sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    """Read a page that has no end, and keep none of it."""
    await devbox.cmd.exec_async(_ENDLESS_PAGE)
    await devbox.net.enable_tunnel()
    async with await page_client(devbox) as client:
        while True:
            with suppress(httpx.HTTPError):  # it does not serve yet
                async with client.stream("GET", "/") as answer:
                    async for _ in answer.aiter_raw(1 << 20):
                        pass


CLIENTS: Mapping[str, Callable[[AsyncRunloopSDK, AsyncDevbox], Awaitable[None]]] = {
    f"prints without end in {_PRINTERS} commands": print_at_once,
    "prints without end to a client": follow,
    "has a file read that has no end": read_file,
    "has a file written again and again": write_file,
    "sends a page that has no end": read_page,
}


async def run() -> list[Row]:
    """A quiet neighbour, then the same beside each greedy one."""
    rows = []
    async with running_service() as service:
        async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
            async with await neighbour(sdk) as devbox:
                actions = await actions_of(devbox)
                for name in (*COMMANDS, *CLIENTS):
                    quiet = await medians(actions)
                    async with greedy(service, name):
                        beside = await medians(actions)
                    rows += [
                        Row(f"{what}, beside one that {name}", beside[what], "ms", quiet[what], "alone", "<= x2")
                        for what in actions
                    ]
    return rows


async def neighbour(sdk: AsyncRunloopSDK) -> AsyncDevbox:
    """A devbox that serves a page."""
    devbox = await sdk.devbox.create(name="neighbour")
    await devbox.cmd.exec("mkdir -p site; echo page > site/index.html")
    await devbox.cmd.exec_async(f"cd site && exec python3 -m http.server {_SERVER_PORT} 2> /dev/null")
    await devbox.net.enable_tunnel()
    return devbox


async def actions_of(devbox: AsyncDevbox) -> dict[str, Callable[[], Awaitable[object]]]:
    """What somebody does with a devbox: by name."""
    client = await page_client(devbox)

    async def command() -> None:
        await devbox.cmd.exec("true")

    async def file() -> None:
        await devbox.file.upload(path="file", file=_FILE)
        assert len(await devbox.file.download(path="file")) == len(_FILE)

    async def page() -> None:
        (await client.get("/")).raise_for_status()

    while True:
        with suppress(httpx.HTTPError):
            await page()
            break
        await asyncio.sleep(0.05)
    return {"exec": command, "1 MB up and down": file, "a page by its tunnel": page}


async def page_client(devbox: AsyncDevbox) -> httpx.AsyncClient:
    """A client of the page that a devbox serves by its tunnel."""
    address = urlsplit(await devbox.get_tunnel_url(_SERVER_PORT) or "")
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{address.port}", headers={"host": address.netloc})


async def medians(actions: Mapping[str, Callable[[], Awaitable[object]]]) -> dict[str, float]:
    """The median of each action in milliseconds, all of them taking turns."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(TIMES):
        for name, act in actions.items():
            start = time.perf_counter()
            await act()
            found[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(times) for name, times in found.items()}


@asynccontextmanager
async def greedy(service: Running, name: str) -> AsyncIterator[None]:
    """A devbox that is at its limit meanwhile."""
    arguments = ["-m", "benchmarks.neighbours", service.base_url, service.api_key, name]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    await asyncio.sleep(_SETTLES_S)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def live(base_url: str, api_key: str, name: str) -> None:
    """Live as a greedy one until cancelled, and say so; its devbox is made anew where it is ended for that."""
    async with AsyncRunloopSDK(bearer_token=api_key, base_url=base_url) as sdk:
        while True:
            with suppress(RunloopError):
                async with await sdk.devbox.create(name="greedy") as devbox:
                    print(devbox.id, flush=True)
                    if name in COMMANDS:
                        await devbox.cmd.exec(COMMANDS[name])
                    else:
                        await CLIENTS[name](sdk, devbox)


async def _until_terminated(base_url: str, api_key: str, name: str) -> None:
    os.nice(19)
    living = asyncio.create_task(live(base_url, api_key, name))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, living.cancel)
    with suppress(asyncio.CancelledError):
        await living


if __name__ == "__main__":
    asyncio.run(_until_terminated(*sys.argv[1:]))
