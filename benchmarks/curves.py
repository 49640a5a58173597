"""How the service's costs grow: with devboxes, commands, files, output. `python -m benchmarks.curves FOLDER` draws."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bare import RawClient
from benchmarks.curve import Curve, svg
from benchmarks.measure import Row, least_ms, load, took_ms
from benchmarks.records import fill_devboxes
from benchmarks.running import client_of, running_service
from benchmarks.service import tree_pss_mb
from runloop_local.engine.storage.store import Store
from runloop_sdk import AsyncDevbox, AsyncSnapshot

BUDGET_S = 300.0
"""A subject ends with the first size that takes longer than this."""
TIMES = 7
_ROW_NAMES = {0.15: "does not grow", 1.1: "at most linear"}
_FILL = """exec python3 -c '
import os
for n in range({start}, {end}):
    if n % 500 == 0: os.makedirs(f"d{{n // 500}}", exist_ok=True)
    with open(f"d{{n // 500}}/f{{n}}", "wb") as file: file.write(b"x" * 100)'"""
Costs = Mapping[str, float]
Measured = AsyncIterator[tuple[int, Costs]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What grows, and what is measured at each of its sizes."""

    name: str
    sizes: str
    measured: Callable[[], Measured]
    most: Mapping[str, float]
    """The highest exponent that each cost may have; a cost's name ends with its unit."""


async def in_list() -> Measured:
    """Of devboxes that have ended, each with an execution."""
    for size in (1, 10, 100, 1000, 10_000):
        with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
            store = Store.open(Path(folder) / "service.db")
            await fill_devboxes(store, size, 1)
            await store.aclose()
            await asyncio.to_thread((Path(folder) / "service.key").write_bytes, bytes(32))
            async with running_service(folder):
                pass  # which builds the base layer
            async with running_service(folder) as service, RawClient(service) as client:
                page = partial(client.ask, "GET", "/v1/devboxes?limit=20")
                search = partial(client.ask, "GET", "/v1/devboxes?search=devbox-x")
                costs = {"a page of 20, ms": page, "a search that finds nothing, ms": search}
                found = {name: await least_ms(act, 30) for name, act in costs.items()}
                yield size, {**found, "service ready, ms": service.ready_ms}


async def running() -> Measured:
    """Devboxes that run and do nothing, in one service."""
    async with running_service() as service, client_of(service) as sdk, RawClient(service) as client:
        one = await sdk.devbox.create()
        before, count = tree_pss_mb(service.pid), 1
        for size in (2, 5, 20, 100, 500):
            start = time.perf_counter()
            await asyncio.gather(*(sdk.devbox.create() for _ in range(size - count)))
            each = (time.perf_counter() - start) * 1000 / (size - count)
            count = size
            page = partial(client.ask, "GET", "/v1/devboxes?limit=20")
            yield (
                size,
                {
                    "create, each of all at once, ms": each,
                    "a command in one of them, ms": await least_ms(partial(client.execute, one.id, "true"), TIMES),
                    "a page of 20, ms": await least_ms(page, TIMES),
                    "memory for each, MB": (tree_pss_mb(service.pid) - before) / (size - 1),
                },
            )


async def executions() -> Measured:
    """Commands that run in one devbox and do nothing."""
    async with running_service() as service, client_of(service) as sdk, RawClient(service) as client:
        devbox, count = await sdk.devbox.create(), 0
        path = f"/v1/devboxes/{devbox.id}"
        for size in (1, 10, 100, 1000):
            start = time.perf_counter()
            for _ in range(size - count):
                found = json.loads(await client.ask("POST", f"{path}/execute_async", command="exec sleep 1000"))
            each = (time.perf_counter() - start) * 1000 / (size - count)
            count = size
            await until_quiet(client, devbox.id)
            last = f"{path}/executions/{found['execution_id']}"
            yield (
                size,
                {
                    "to start one more, ms": each,
                    "a command that ends, ms": await least_ms(partial(client.execute, devbox.id, "true"), TIMES),
                    "to read one of them, ms": await least_ms(partial(client.ask, "GET", last), TIMES),
                },
            )


async def until_quiet(client: RawClient, devbox_id: str) -> None:
    """Wait until the shells of the commands have started: a command takes no longer than half a second then."""
    for _ in range(int(BUDGET_S)):
        if await took_ms(partial(client.execute, devbox_id, "true")) < 500:
            return
        await asyncio.sleep(0.5)


async def files() -> Measured:
    """On the disk of one devbox."""
    async with running_service() as service, client_of(service) as sdk:
        devbox, count = await sdk.devbox.create(), 0
        taken: list[AsyncSnapshot] = []

        async def change_and_snap() -> None:
            await devbox.cmd.exec("date +%s%N > changed")
            taken.append(await devbox.snapshot_disk())

        for size in (10, 100, 1000, 10_000, 100_000, 1_000_000):
            await devbox.cmd.exec(_FILL.format(start=count, end=size))
            count = size
            await change_and_snap()  # of all that is new
            yield (
                size,
                {
                    "a changed file and a snapshot, ms": await least_ms(change_and_snap, TIMES),
                    "a devbox from it, ms": await least_ms(lambda: taken[-1].create_devbox(), TIMES),
                    "suspend and resume, ms": await least_ms(partial(restart, devbox), 3),
                },
            )


async def restart(devbox: AsyncDevbox) -> None:
    """Suspend it and resume it."""
    await devbox.suspend()
    await devbox.await_suspended()
    await devbox.resume()
    await devbox.await_running()


async def output() -> Measured:
    """Bytes that one command prints, which nobody follows."""
    async with running_service() as service, client_of(service) as sdk, RawClient(service) as client:
        devbox = await sdk.devbox.create()
        for size in [10**power for power in range(3, 11)]:
            start = time.perf_counter()
            command = f"head -c {size} /dev/zero | tr '\\0' 'x' | fold -w 99"
            execution = await devbox.cmd.exec_async(command)
            one = f"/v1/devboxes/{devbox.id}/executions/{execution.execution_id}"
            await execution.result()
            took = (time.perf_counter() - start) * 1000
            tail = await least_ms(partial(client.ask, "GET", f"{one}?last_n=100"), TIMES)
            memory = tree_pss_mb(service.pid)
            yield size, {"printed and kept, ms": took, "its last 100 lines, ms": tail, "memory, MB": memory}


SUBJECTS = {
    "devboxes-in-list": Subject(
        "Records of devboxes that have ended",
        "devboxes",
        in_list,
        {"a page of 20, ms": 0.15, "a search that finds nothing, ms": 1.1, "service ready, ms": 1.1},
    ),
    "devboxes-running": Subject(
        "Devboxes that run and do nothing",
        "devboxes",
        running,
        {
            "create, each of all at once, ms": 0.15,
            "a command in one of them, ms": 0.15,
            "a page of 20, ms": 0.15,
            "memory for each, MB": 0.15,
        },
    ),
    "executions": Subject(
        "Commands that run in one devbox",
        "commands",
        executions,
        {"to start one more, ms": 0.15, "a command that ends, ms": 0.15, "to read one of them, ms": 0.15},
    ),
    "files": Subject(
        "Files on a devbox's disk",
        "files",
        files,
        {
            "a changed file and a snapshot, ms": 0.15,
            "a devbox from it, ms": 0.15,
            "suspend and resume, ms": 0.15,
        },
    ),
    "output": Subject(
        "Output of one command",
        "bytes",
        output,
        {"printed and kept, ms": 1.1, "its last 100 lines, ms": 0.15, "memory, MB": 0.15},
    ),
}


async def run() -> list[Row]:
    """The exponent of each of the service's costs."""
    return await exponents(SUBJECTS)


async def exponents(subjects: Mapping[str, Subject]) -> list[Row]:
    """The exponent of each cost: 0 where it does not grow, 1 where it grows with the size."""
    return [_row(subject, curve) for subject in subjects.values() for curve in await curves_of(subject)]


async def curves_of(subject: Subject) -> list[Curve]:
    """Measure a subject at its sizes, as many as the budget allows."""
    found: list[tuple[int, Costs]] = []
    before = time.perf_counter()
    async for size, costs in subject.measured():
        found.append((size, costs))
        took, before = time.perf_counter() - before, time.perf_counter()
        if took > BUDGET_S:
            break
    return [_curve(name, found) for name in subject.most]


def _curve(name: str, found: Sequence[tuple[int, Costs]]) -> Curve:
    what, _, unit = name.rpartition(", ")
    return Curve(what, unit, [(size, costs[name]) for size, costs in found])


def _row(subject: Subject, curve: Curve) -> Row:
    (first, least), (last, most) = curve.points[0], curve.points[-1]
    name = f"{curve.name}: {first:,} to {last:,} {subject.sizes}, {least:.3g} to {most:.3g} {curve.unit}"
    limit = subject.most[f"{curve.name}, {curve.unit}"]
    return Row(name, curve.exponent, "exponent", goal=f"<= {limit}: {_ROW_NAMES[limit]}")


async def draw(folder: Path, names: Sequence[str], subjects: Mapping[str, Subject]) -> None:
    """Measure subjects, print their rows and write their pictures."""
    print(f"on a machine with {load()}")
    for name in names or subjects:
        subject = subjects[name]
        curves = await curves_of(subject)
        (folder / f"curve-{name}.svg").write_text(svg(subject.name, subject.sizes, curves))
        for curve in curves:
            row = _row(subject, curve)
            points = ", ".join(f"{size:,}: {cost:.3g}" for size, cost in curve.points)
            print(f"{row.name}  n^{row.ours:.2f}  {row.goal}\n    {points}", flush=True)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]), sys.argv[2:], SUBJECTS))
