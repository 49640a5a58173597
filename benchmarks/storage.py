"""The embedded service's disks: snapshots, blueprints and storage objects, beside a plain copy over loopback."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Row, median_ms, paired_ms, took_ms
from benchmarks.running import client_of, running_service
from runloop_local.engine.build.origins import STARTER
from runloop_sdk import AsyncRunloopSDK

FILES, OBJECT = 50_000, 256 << 20
FILL = f"""
python3 - <<'END'
import os
for n in range({FILES}):
    if n % 500 == 0: os.makedirs(f"d{{n // 500}}")
    with open(f"d{{n // 500}}/f{{n}}", "wb") as file: file.write(os.urandom(20_000))
END
"""
ROUNDS = 8
GOALS = {"up": ">= x0.6", "up by the SDK": ">= x0.6", "down": ">= x0.9", "down by the SDK": ">= x0.9"}
STEPS = 17
DOCKERFILE = f"FROM {STARTER}\n" + "".join(f"RUN echo {n} > /step-{n}\n" for n in range(STEPS))


async def snapshots() -> list[Row]:
    """Of a disk of 1 GB in 50,000 files."""
    async with running_service() as service, client_of(service) as sdk:
        devbox = await sdk.devbox.create()
        await devbox.cmd.exec(FILL)
        large = await took_ms(devbox.snapshot_disk)  # moves what was written into a layer
        taken = [await devbox.snapshot_disk()]

        async def change() -> None:
            await devbox.cmd.exec("date +%s%N > changed")

        async def change_and_snap() -> None:
            await change()
            taken.append(await devbox.snapshot_disk())

        again, change_alone = await paired_ms(change_and_snap, change, 5)
        restored, fresh = await paired_ms(lambda: taken[-1].create_devbox(), sdk.devbox.create, 10)
    return [
        Row("snapshot of 1 GB in 50,000 files", large, "ms", goal="< 100 ms"),
        Row("  a command that changes one file, and the next snapshot", again, "ms", change_alone, "the command"),
        Row("  that snapshot alone", again - change_alone, "ms", goal="<= 60 ms"),
        Row("a devbox from that snapshot", restored, "ms", fresh, "a devbox", "<= x1.3"),
    ]


async def blueprint() -> list[Row]:
    """The same Dockerfile again."""
    async with running_service() as service, client_of(service) as sdk:

        async def build() -> None:
            await sdk.blueprint.create(name="bench", dockerfile=DOCKERFILE)

        built = await median_ms(build, 5)
    return [Row(f"a blueprint of {STEPS} steps, all cached", built, "ms", goal="< 200 ms")]


async def objects() -> list[Row]:
    """256 MiB up and down by a plain socket and by the SDK, in turn with a plain copy from file to file over loopback.

    Each is the fastest of some rounds, in memory that the copy before it has just freed: a virtual machine that has to
    get it from its host first, to which it gives back what is free for two seconds, takes up to five times as long.
    """
    async with running_service() as service, client_of(service) as sdk:
        with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
            source, target = Path(folder, "source"), Path(folder, "target")
            await asyncio.to_thread(fill, source)
            before = peak_mb(service.pid)
            rounds = [await transfer_rates(sdk, source, target) for _ in range(ROUNDS)]
        grown = peak_mb(service.pid) - before
    best = {name: max(rates[name] for rates in rounds) for name in rounds[0]}
    copy = best.pop("copy")
    return [
        *(
            Row(f"an object of 256 MiB, {name}", rate, "MB/s", copy, "plain copy", GOALS[name])
            for name, rate in best.items()
        ),
        Row("  the service's memory grew at most by", grown, "MB", goal="< 100 MB"),
    ]


async def transfer_rates(sdk: AsyncRunloopSDK, source: Path, target: Path) -> dict[str, float]:
    """MB/s of each transfer, and the best of the copies before them."""
    rates = {"copy": 0.0}

    async def measure(name: str, transfer: Callable[[], Awaitable[object]]) -> None:
        copied = await took_ms(lambda: asyncio.to_thread(plain_copy, source, target))
        await asyncio.to_thread(target.unlink)
        rates["copy"] = max(rates["copy"], OBJECT / copied / 1e3)
        rates[name] = OBJECT / await took_ms(transfer) / 1e3
        await asyncio.to_thread(target.unlink, missing_ok=True)

    one, other = [await sdk.storage_object.create(name="bench", content_type="binary") for _ in range(2)]
    await measure("up", lambda: asyncio.to_thread(upload, str(one.upload_url), source))
    await one.delete()
    await measure("up by the SDK", lambda: other.upload_content(source))
    await other.complete()
    url = (await other.get_download_url()).download_url
    await measure("down", lambda: asyncio.to_thread(download, url, target))
    await measure("down by the SDK", lambda: other.download_to(target))
    await other.delete()
    return rates


def fill(file: Path) -> None:
    """Write a file of that size."""
    with file.open("wb") as opened:
        for _ in range(OBJECT >> 20):
            opened.write(bytes(1 << 20))


def plain_copy(source: Path, target: Path) -> None:
    """A file through a socket into another file."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def give() -> None:
            connection, _ = server.accept()
            with connection, source.open("rb") as file:
                connection.sendfile(file)

        giver = threading.Thread(target=give)
        giver.start()
        with socket.create_connection(server.getsockname()) as sock:
            receive(sock, target, b"", OBJECT)
        giver.join()


def upload(url: str, source: Path) -> None:
    """PUT a file."""
    with ask(url, "PUT", f"Content-Length: {source.stat().st_size}\r\n") as sock:
        with source.open("rb") as file:
            sock.sendfile(file)
        assert b" 200 " in sock.recv(4096)


def download(url: str, target: Path) -> None:
    """GET a file."""
    with ask(url, "GET", "") as sock:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        head, _, early = head.partition(b"\r\n\r\n")
        assert b" 200 " in head
        receive(sock, target, early, OBJECT)


def ask(url: str, method: str, headers: str) -> socket.socket:
    """A connection on which a request's head has been sent."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80))
    request = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n"
    sock.sendall(request.encode())
    return sock


def receive(sock: socket.socket, target: Path, early: bytes, size: int) -> None:
    """Write what comes into a file."""
    buffer = memoryview(bytearray(1 << 20))
    with target.open("wb", buffering=0) as file:
        left = size - file.write(early)
        while left:
            count = sock.recv_into(buffer)
            assert count, f"{left} bytes did not come"
            left -= file.write(buffer[:count])


def peak_mb(pid: int) -> float:
    """The most memory that a process has had so far (Linux; 0 elsewhere)."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) / 1000 if found else 0
