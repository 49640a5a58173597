"""The embedded service with many records: its start after a kill, and lists."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import tempfile
import timeit
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

from benchmarks.bare import RawClient
from benchmarks.measure import Row, took_ms
from benchmarks.running import Running, running_service
from runloop_local.engine.devbox.execution import ExecutionRecord
from runloop_local.engine.devbox.lifecycle import DevboxRecord, Status, Transition
from runloop_local.engine.devbox.state import document
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.engine.storage.store import Document, Store

DEVBOXES, EXECUTIONS = 6000, 5
SECRETS = 5000
_MOVES: tuple[Status, ...] = ("queued", "provisioning", "initializing", "running", "shutdown")


async def start() -> list[Row]:
    """On a folder with records and one without, in turn; both are kept: only the first starts build the base layer."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as bare:
        async with filled() as folder:
            found = []
            for _ in range(4):
                async with running_service(folder) as full:
                    pass
                async with running_service(bare) as empty:
                    found.append((full.ready_ms, empty.ready_ms))
    many, none = [statistics.median(times) for times in zip(*found[1:], strict=True)]
    name = f"service ready, with {DEVBOXES * (EXECUTIONS + 1):,} records of what has ended"
    return [Row(name, many, "ms", none, "without records", "< 1000 ms")]


async def pages() -> list[Row]:
    """By a connection that is kept, beside an answer without records, and beside the reads that it takes of SQLite."""
    async with filled() as folder:
        async with running_service(folder) as service:
            asked = await pages_ms(service, ("accounts/me", "secrets", "devboxes"))
        read = {kind: read_ms(Path(folder) / "service.db", kind) for kind in ("secret", "devbox")}
    answer = asked["accounts/me"]
    return [
        Row("an answer without records", answer, "ms"),
        *(
            Row(f"20 of {count:,} {path}, and how many there are", asked[path], "ms", beside, name, goal)
            for path, kind, count in (("secrets", "secret", SECRETS), ("devboxes", "devbox", DEVBOXES))
            for beside, name, goal in ((answer + read[kind], "an answer + the read", "<= 3 ms"),)
        ),
    ]


@asynccontextmanager
async def filled() -> AsyncIterator[str]:
    """A data folder with many records."""
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        await fill(Path(folder) / "service.db")
        await asyncio.to_thread((Path(folder) / "service.key").write_bytes, bytes(32))
        yield folder


async def fill(file: Path) -> None:
    """Devboxes that have ended, with executions, and secrets."""
    store = Store.open(file)
    now = now_ms()
    await fill_devboxes(store, DEVBOXES, EXECUTIONS)
    for number in range(SECRETS):
        view = {"id": new_id("sec"), "name": f"S{number}", "create_time_ms": now, "update_time_ms": now}
        body = {**view, "sealed": "", "key_id": ""}
        await store.put(Document("secret", str(view["id"]), body, name=f"S{number}", view=json.dumps(view)))
    await store.aclose()


async def fill_devboxes(store: Store, count: int, executions_of_each: int) -> None:
    """Devboxes that have ended, with executions."""
    now = now_ms()
    for number in range(count):
        moves = tuple(Transition(status, now) for status in _MOVES)
        record = DevboxRecord(new_id("dbx"), now, name=f"devbox-{number}", transitions=moves)
        executions = [
            ExecutionRecord(new_id("exec"), record.id, "make", status="completed", start_time_ms=now)
            for _ in range(executions_of_each)
        ]
        await store.put(document(record), *(execution.document() for execution in executions))


async def pages_ms(service: Running, paths: Sequence[str]) -> dict[str, float]:
    """The median of each, all of them taking turns, on a raw socket: a client takes longer than the service."""
    found: dict[str, list[float]] = {path: [] for path in paths}
    async with RawClient(service) as client:
        for _ in range(50):
            for path in paths:
                found[path].append(await took_ms(partial(client.ask, "GET", f"/v1/{path}")))
    return {path: statistics.median(times) for path, times in found.items()}


def read_ms(file: Path, kind: str) -> float:
    """The newest 20 records of a kind, and how many there are, by an index."""
    with closing(sqlite3.connect(file)) as connection:
        where = "FROM documents INDEXED BY listed WHERE kind = ? AND listed = 1"

        def read() -> None:
            connection.execute(f"SELECT count(*) {where}", (kind,)).fetchone()
            connection.execute(f"SELECT view {where} ORDER BY position DESC LIMIT 20", (kind,)).fetchall()

        return statistics.median(timeit.repeat(read, number=1, repeat=20)) * 1000
