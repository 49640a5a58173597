"""A disk without any room: the service starts, lists and deletes, so that there is room again."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.local.api import Api, connect
from tests.local.serving import COUNTS_PROCESSES, Service, serving
from tests.starter import FROM
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.exhaustion
WAYS = ["auto", "process"]
MB = 1 << 20


@dataclass
class Disk:
    """A small disk of its own, in a mount namespace that a process keeps."""

    folder: Path
    keeper: int

    @property
    def before(self) -> tuple[str, ...]:
        """What a service is started through, to have its data there."""
        return ("nsenter", "-t", str(self.keeper), "-m")

    @property
    def seen(self) -> Path:
        """The folder, from outside."""
        return Path(f"/proc/{self.keeper}/root{self.folder}")

    def fill(self) -> None:
        """Leave not one byte, as another program does."""
        filler = os.open(self.seen / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (MB, 4096, 1):
                with suppress(OSError):
                    while os.write(filler, bytes(size)):
                        pass
        finally:
            os.close(filler)

    def free(self) -> int:
        found = os.statvfs(self.seen)
        return found.f_bfree * found.f_frsize


@contextmanager
def small_disk(folder: Path, size: str = "40m") -> Iterator[Disk]:
    folder.mkdir()
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && echo mounted && exec sleep 1000'
    command = ["unshare", "-m", "sh", "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "mounted\n"
            yield Disk(folder, keeper.pid)
        finally:
            keeper.kill()


@asynccontextmanager
async def served(disk: Disk, way: str) -> AsyncIterator[tuple[Service, Api]]:
    with serving(disk.folder, "--isolation", way, before=disk.before) as service:
        async with connect(service) as api:
            yield service, api


@dataclass
class Things:
    devbox: str
    ended: str
    running: str
    snapshot: str
    blueprint: str
    object: str
    axon: str


async def made(api: Api) -> Things:
    """One of each, of a MB and more each."""
    devbox, running = await api.create(), await api.create()
    for each in (devbox, running):
        await api.execute(each, f"echo kept > file; head -c {2 * MB} /dev/urandom > big")
    snapshot = (await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {}))["id"]
    ended = await api.create()
    await api.json(f"/v1/devboxes/{ended}/shutdown", {})
    dockerfile = f"{FROM}\nUSER user\nRUN head -c {2 * MB} /dev/urandom > ~/big"
    blueprint = (await api.json("/v1/blueprints", {"name": "b", "dockerfile": dockerfile}))["id"]
    while (view := await api.json(f"/v1/blueprints/{blueprint}"))["status"] != "build_complete":
        assert view["status"] != "failed", await api.json(f"/v1/blueprints/{blueprint}/logs")
        await asyncio.sleep(0.05)
    view = await api.json("/v1/objects", {"name": "o", "content_type": "binary"})
    async with httpx.AsyncClient() as bare:
        (await bare.put(view["upload_url"], content=bytes(2 * MB))).raise_for_status()
    await api.json(f"/v1/objects/{view['id']}/complete", {})
    await api.json("/v1/secrets", {"name": "S", "value": "v"})
    axon = (await api.json("/v1/axons", {"name": "a"}))["id"]
    return Things(devbox, ended, running, snapshot, blueprint, view["id"], axon)


async def can_be_read(api: Api, things: Things) -> None:
    for path in (
        "/v1/devboxes",
        f"/v1/devboxes/{things.devbox}",
        f"/v1/devboxes/{things.ended}/logs",
        "/v1/devboxes/disk_snapshots",
        f"/v1/blueprints/{things.blueprint}",
        f"/v1/blueprints/{things.blueprint}/logs",
        f"/v1/objects/{things.object}",
        "/v1/secrets/S",
        f"/v1/axons/{things.axon}/events",
        "/local/status",
    ):
        await api.json(path)


async def is_full(api: Api) -> None:
    """What needs room says that there is none, sooner or later: the log of the records has some left."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await api.post("/v1/objects", json={"name": "x" * 1000, "content_type": "text"})).is_success:
            pass
    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")
    assert (
        "The disk is full: shut devboxes down or delete snapshots, blueprints or objects." in answer.json()["message"]
    )


DELETIONS = {
    "object": ("POST", "/v1/objects/{}/delete"),
    "snapshot": ("POST", "/v1/devboxes/disk_snapshots/{}/delete"),
    "blueprint": ("POST", "/v1/blueprints/{}/delete"),
    "devbox": ("POST", "/v1/devboxes/{}/shutdown"),
    "running": ("POST", "/v1/devboxes/{}/shutdown"),
    "axon": ("DELETE", "/v1/axons/{}"),
}


ALONE = ("object", "running")
"""Those on whose bytes nothing else stands: no other disk, and no step of a build that may be used again."""


async def is_deleted(api: Api, things: Things, what: str) -> None:
    method, path = DELETIONS[what]
    answer = await api.request(method, path.format(getattr(things, what)), json={} if method == "POST" else None)
    assert answer.status_code == 200, answer.text


async def has_room(disk: Disk, more_than: int) -> None:
    """Some is deleted in the background."""
    await until(lambda: disk.free() >= more_than, "room on the disk")


async def works(api: Api) -> None:
    devbox = await api.create()
    assert (await api.execute(devbox, "echo fine > file; cat file"))["stdout"] == "fine\n"
    await api.json(f"/v1/devboxes/{devbox}/snapshot_disk", {})
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json("/v1/secrets", {"name": f"S{devbox[-6:]}", "value": "v"})


if COUNTS_PROCESSES:

    @pytest.mark.parametrize("way", WAYS)
    async def test_on_a_full_disk_everything_can_be_deleted_one_after_another(tmp_path: Path, way: str) -> None:
        """Whatever becomes free is taken by another program at once."""
        with small_disk(tmp_path / "data") as disk:
            async with served(disk, way) as (_, api):
                things = await made(api)
                disk.fill()
                await is_full(api)
                for what in DELETIONS:
                    await can_be_read(api, things)
                    await is_deleted(api, things, what)
                    disk.fill()
                await api.json("/v1/secrets/S/delete", {})
                os.truncate(disk.seen / "filler", 0)
                await works(api)
        assert (tmp_path / "data.log").read_text() == ""

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("what", DELETIONS)
    async def test_a_service_starts_on_a_full_disk_and_room_can_be_made(tmp_path: Path, way: str, what: str) -> None:
        with small_disk(tmp_path / "data") as disk:
            async with served(disk, way) as (service, api):
                things = await made(api)
                running = await api.start(things.running, "sleep 1000")
                disk.fill()
                await is_full(api)
                service.kill()
            disk.fill()
            async with served(disk, way) as (_, api):
                await can_be_read(api, things)
                for devbox in (things.devbox, things.running):
                    assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "suspended"
                assert (await api.json(running))["exit_status"] == 137
                disk.fill()
                await is_deleted(api, things, what)
                if what in ALONE:
                    await has_room(disk, MB)
                os.truncate(disk.seen / "filler", 0)
                await works(api)
            async with served(disk, way) as (_, api):
                await works(api)
        assert (tmp_path / "data.log").read_text() == ""

    def test_ones_own_service_is_found_on_a_full_disk(tmp_path: Path) -> None:
        with small_disk(tmp_path / "home") as disk:
            first = own_service(disk)
            disk.fill()
            second = own_service(disk)
            assert first != second


def own_service(disk: Disk) -> str:
    """Start the service of a user whose home is on the disk, and kill it; the address by which it was to be found."""
    command = [*disk.before, sys.executable, "-m", "runloop_local", "serve", "--isolation", "process"]
    env = {**os.environ, "RUNLOOP_LOCAL_HOME": str(disk.folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            ready, url = process.stdout.readline().split()
            assert ready == "ready"
            found: dict[str, str] = json.loads((disk.seen / "service.json").read_text())
            assert found["base_url"] == url
            return url
        finally:
            process.kill()
