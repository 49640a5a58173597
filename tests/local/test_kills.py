"""A service that is killed at any moment of a busy life: whatever it has said to be done is still there afterwards."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.api import Api, connect
from tests.local.serving import Service, serving
from tests.local.test_restart import alive, descendants

ROUNDS = 3
SETTLED = {"suspended", "failure", "shutdown"}
DOCKERFILE = "FROM x\nUSER user\nRUN echo {0} > ~/step\nCOPY <<EOF /home/user/copied\n{0}\nEOF\n"


@dataclass
class Ledger:
    """What the service has said to be done."""

    devboxes: dict[str, int] = field(default_factory=dict)
    """Those that ran, and the last number that was written to each one's disk."""
    snapshots: dict[str, int] = field(default_factory=dict)
    blueprints: dict[str, int] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


class Life:
    """Work of every kind, on and on until the service is gone."""

    def __init__(self, api: Api, ledger: Ledger, chance: random.Random) -> None:
        self.api = api
        self.ledger = ledger
        self.number = chance.randrange(1 << 30)

    async def go_on(self) -> None:
        works = (self.write, self.write, self.snap, self.suspend, self.build, self.store, self.hide)
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(self.until_it_is_gone(work))

    async def until_it_is_gone(self, work: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                await work()

    def next(self) -> int:
        self.number += 1
        return self.number

    async def new_devbox(self, **options: Any) -> str:
        devbox = await self.api.create(**options)
        self.ledger.devboxes[devbox] = 0
        return devbox

    async def put(self, devbox: str) -> int:
        number = self.next()
        done = await self.api.execute(devbox, f"echo {number} > number.new && mv number.new number")
        if done["exit_status"] == 0:
            self.ledger.devboxes[devbox] = number
        return number

    async def write(self) -> None:
        devbox = await self.new_devbox()
        for _ in range(5):
            await self.put(devbox)

    async def snap(self) -> None:
        devbox = await self.new_devbox()
        await self.api.execute(devbox, "sleep 1000 >/dev/null 2>&1 &" if self.next() % 2 else "true")
        for _ in range(3):
            number = await self.put(devbox)
            view = await self.api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {})
            self.ledger.snapshots[view["id"]] = number

    async def suspend(self) -> None:
        devbox = await self.new_devbox()
        await self.put(devbox)
        await self.api.json(f"/v1/devboxes/{devbox}/suspend", {})
        await self.api.wait(devbox, "suspended")
        await self.api.json(f"/v1/devboxes/{devbox}/resume", {})
        await self.api.wait(devbox, "running")
        await self.put(devbox)

    async def build(self) -> None:
        number = self.next()
        body = {"name": f"b{number}", "dockerfile": DOCKERFILE.format(number)}
        blueprint = (await self.api.json("/v1/blueprints", body))["id"]
        while (view := await self.api.json(f"/v1/blueprints/{blueprint}"))["status"] != "build_complete":
            assert view["status"] != "failed"
            await asyncio.sleep(0.01)
        self.ledger.blueprints[blueprint] = number

    async def store(self) -> None:
        data = f"{self.next()}".encode() * 10_000
        view = await self.api.json("/v1/objects", {"name": "o", "content_type": "binary"})
        async with httpx.AsyncClient() as bare:
            (await bare.put(view["upload_url"], content=data)).raise_for_status()
        await self.api.json(f"/v1/objects/{view['id']}/complete", {})
        self.ledger.objects[view["id"]] = data

    async def hide(self) -> None:
        number = self.next()
        await self.api.json("/v1/secrets", {"name": f"S{number}", "value": f"v{number}"})
        self.ledger.secrets[f"S{number}"] = f"v{number}"
        await asyncio.sleep(0.05)


async def live_and_be_killed(service: Service, ledger: Ledger, chance: random.Random) -> None:
    """A busy life, a kill in the middle of it, and nothing left that runs."""
    async with connect(service) as api:
        life = asyncio.create_task(Life(api, ledger, chance).go_on())
        done, _ = await asyncio.wait({life}, timeout=chance.uniform(0.3, 1.8))
        assert not done, life.exception()
        below = descendants(service.process.pid)
        service.kill()
        await life
    async with asyncio.timeout(10):
        while any(map(alive, below)):  # noqa: ASYNC110 -- a kernel's work, which nothing announces
            await asyncio.sleep(0.02)
    assert str(service.data_dir) not in mounts()


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


async def settled(api: Api) -> dict[str, dict[str, Any]]:
    """All devboxes, none of which runs; those that ran say why they no longer do."""
    views = (await api.json("/v1/devboxes?limit=5000"))["devboxes"]
    for view in views:
        assert view["status"] in SETTLED, view
        *_, before, last = view["state_transitions"]
        if last["status"] == "suspended" and before["status"] != "suspending":
            assert last["failure_reason"] == "service restarted"
    return {view["id"]: view for view in views}


async def check(api: Api, ledger: Ledger, chance: random.Random) -> None:
    """Everything of the ledger is there; of what has a disk, some is started to see it."""
    devboxes = await settled(api)
    assert set(ledger.devboxes) <= set(devboxes)
    complete = [await api.json(f"/v1/devboxes/disk_snapshots/{name}/status") for name in ledger.snapshots]
    assert {state["status"] for state in complete} <= {"complete"}
    blueprints = [await api.json(f"/v1/blueprints/{name}") for name in ledger.blueprints]
    assert {view["status"] for view in blueprints} <= {"build_complete"}
    names = {secret["name"] for secret in (await api.json("/v1/secrets?limit=5000"))["secrets"]}
    assert set(ledger.secrets) <= names
    async with asyncio.TaskGroup() as group:
        for look in looks(api, ledger, chance):
            group.create_task(look)


def looks(api: Api, ledger: Ledger, chance: random.Random) -> list[Coroutine[Any, Any, None]]:
    def some(found: dict[str, Any]) -> list[tuple[str, Any]]:
        return chance.sample(list(found.items()), min(4, len(found)))

    return [
        *(resumed(api, devbox, number) for devbox, number in some(ledger.devboxes)),
        *(started(api, f"{number}\n", "cat number", snapshot_id=name) for name, number in some(ledger.snapshots)),
        *(
            started(api, f"{number}\n{number}\n", "cat step copied", blueprint_id=name)
            for name, number in some(ledger.blueprints)
        ),
        *(started(api, f"{value}\n", "echo $T", secrets={"T": name}) for name, value in some(ledger.secrets)[:1]),
        *(downloaded(api, name, data) for name, data in some(ledger.objects)),
    ]


async def resumed(api: Api, devbox: str, number: int) -> None:
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    found = (await api.execute(devbox, "cat number 2>/dev/null || echo 0"))["stdout"]
    # A write whose answer the kill has cut off may be there as well.
    assert int(found) >= number


async def started(api: Api, expected: str, command: str, **options: Any) -> None:
    devbox = await api.create(**options)
    assert (await api.execute(devbox, command))["stdout"] == expected
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def downloaded(api: Api, name: str, data: bytes) -> None:
    url = (await api.json(f"/v1/objects/{name}/download"))["download_url"]
    async with httpx.AsyncClient() as bare:
        assert (await bare.get(url)).content == data


async def clear(api: Api) -> None:
    for devbox in await with_a_disk(api):
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    for snapshot in (await api.json("/v1/devboxes/disk_snapshots?limit=5000"))["snapshots"]:
        await api.json(f"/v1/devboxes/disk_snapshots/{snapshot['id']}/delete", {})


async def with_a_disk(api: Api) -> list[str]:
    views = (await api.json("/v1/devboxes?limit=5000"))["devboxes"]
    return [view["id"] for view in views if view["status"] not in ("failure", "shutdown")]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_kill_at_any_moment_loses_nothing_that_was_done(tmp_path: Path, seed: int) -> None:
    chance, ledger = random.Random(seed), Ledger()
    for _ in range(ROUNDS):
        with serving(tmp_path / "data") as service:
            async with connect(service) as api:
                await check(api, ledger, chance)
            await live_and_be_killed(service, ledger, chance)
    assert all((ledger.devboxes, ledger.snapshots, ledger.blueprints, ledger.objects, ledger.secrets))
    with serving(tmp_path / "data") as last:
        async with connect(last) as api:
            await check(api, ledger, chance)
            await clear(api)
        assert [folder.name for folder in last.data_dir.glob("sandboxes/*/sandboxes/*")] == []
    assert "Traceback" not in (tmp_path / "data.log").read_text()
