"""The embedded service with many records: its start after a kill, and lists."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from pathlib import Path

import httpx

from benchmarks.measure import Row, median_ms
from benchmarks.running import Running, running_service
from runloop_local.engine.devbox.execution import ExecutionRecord
from runloop_local.engine.devbox.lifecycle import DevboxRecord, Status, Transition
from runloop_local.engine.devbox.state import document
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.engine.storage.store import Document, Store

DEVBOXES, EXECUTIONS = 6000, 5
SECRETS = 5000
_MOVES: tuple[Status, ...] = ("queued", "provisioning", "initializing", "running", "shutdown")


async def run() -> list[Row]:
    """Services on a folder of their own, one after another."""
    empty = await ready_ms(None)
    with tempfile.TemporaryDirectory(prefix="runloop-bench-") as folder:
        await fill(Path(folder) / "service.db")
        await asyncio.to_thread((Path(folder) / "service.key").write_bytes, bytes(32))
        many = await ready_ms(folder)
        async with running_service(folder) as service:
            pages = {path: await page_ms(service, path) for path in ("accounts/me", "secrets", "devboxes")}
    count = f"{DEVBOXES * (EXECUTIONS + 1):,}"
    return [
        Row("service ready, without records", empty, "ms"),
        Row(f"service ready, with {count} records of what has ended", many, "ms", goal="< 1000 ms"),
        Row("an answer without records", pages["accounts/me"], "ms"),
        Row(f"20 of {SECRETS:,} secrets, and how many there are", pages["secrets"], "ms", goal="<= 3 ms"),
        Row(f"20 of {DEVBOXES:,} devboxes, and how many there are", pages["devboxes"], "ms", goal="<= 3 ms"),
    ]


async def ready_ms(folder: str | None) -> float:
    """The median of three, after one that brings what is new to where it belongs."""
    found = []
    for _ in range(4):
        async with running_service(folder) as service:
            found.append(service.ready_ms)
    return statistics.median(found[1:])


async def fill(file: Path) -> None:
    """Devboxes that have ended, with executions, and secrets."""
    store = Store.open(file)
    now = now_ms()
    for number in range(DEVBOXES):
        moves = tuple(Transition(status, now) for status in _MOVES)
        record = DevboxRecord(new_id("dbx"), now, name=f"devbox-{number}", transitions=moves)
        executions = [
            ExecutionRecord(new_id("exec"), record.id, "make", status="completed", start_time_ms=now)
            for _ in range(EXECUTIONS)
        ]
        await store.put(document(record), *(execution.document() for execution in executions))
    for number in range(SECRETS):
        view = {"id": new_id("sec"), "name": f"S{number}", "create_time_ms": now, "update_time_ms": now}
        body = {**view, "sealed": "", "key_id": ""}
        await store.put(Document("secret", str(view["id"]), body, name=f"S{number}", view=json.dumps(view)))
    await store.aclose()


async def page_ms(service: Running, path: str) -> float:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    async with httpx.AsyncClient(base_url=f"{service.base_url}/v1/", headers=headers) as client:

        async def ask() -> None:
            (await client.get(path)).raise_for_status()

        return await median_ms(ask, 50)
