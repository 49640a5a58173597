"""Pulls that a full disk or the end of their process cuts: nothing half is there, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path

import pytest

from runloop_local.images import Reference
from runloop_local.images.store import ImageStore
from runloop_local.sandbox.namespaces import NamespacesIsolation
from tests.local.images.registry import Fault, Registry, make_image
from tests.local.sandbox.archives import archive, folder, member
from tests.local.sandbox.conftest import NAMESPACES, driver_named
from tests.local.test_full_disk import small_disk
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.service,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NAMESPACES, reason="this machine offers no namespaces"),
]


async def pulling(data: Path, reference: str, before: tuple[str, ...] = ()) -> asyncio.subprocess.Process:
    argv = (*before, sys.executable, "-m", "tests.local.images.pulling", str(data), reference)
    return await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode().strip()


async def lines_until(process: asyncio.subprocess.Process, start: str) -> None:
    while not (await line(process)).startswith(start):
        pass


def opened(data: Path) -> tuple[NamespacesIsolation, ImageStore]:
    isolation = NamespacesIsolation(data / "sandboxes", driver_named(NAMESPACES[0]))
    assert isolation.image_layers is not None
    return isolation, ImageStore(data / "records", isolation.image_layers, backoff=0)


async def test_a_pull_that_is_killed_leaves_whole_layers_only_and_is_gone_on_with(
    registry: Registry, tmp_path: Path
) -> None:
    made = make_image([archive(member("a", b"a")), archive(member("b", secrets.token_bytes(3 << 20)))])
    registry.faults[made.layers[1]] = [Fault(waits_after=2 << 20)]
    reference = registry.add("killed:1", made)
    process = await pulling(tmp_path, reference)
    await lines_until(process, "Unpacked layer")
    part = tmp_path / "records/fetching" / made.layers[1].replace(":", "-")
    await until(lambda: part.exists() and part.stat().st_size >= 1 << 20)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    isolation, store = opened(tmp_path)
    try:
        assert (store.images(), store.find(Reference.parse(reference))) == ([], None)
        assert isolation.image_layers is not None
        assert len(isolation.image_layers.names()) == 1
        registry.asked.clear()
        image = await store.pull(Reference.parse(reference), print)
        assert len(image.layers) == 2
        assert [headers["range"] for _, path, headers in registry.asked if made.layers[1] in path]
        assert not registry.paths(made.layers[0])
    finally:
        await isolation.aclose()


async def test_an_unpack_that_is_killed_ends_and_is_cleaned_up(tmp_path: Path) -> None:
    process = await pulling(tmp_path, "-")
    await lines_until(process, "waiting")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    isolation, store = opened(tmp_path)
    try:
        assert isolation.image_layers is not None
        assert isolation.image_layers.names() == frozenset()
        assert [name.partition(".")[0] for name in isolation.image_layers.unfinished()] == ["img-stuck"]
        await store.clean_up()
        assert isolation.image_layers.unfinished() == frozenset()
    finally:
        await isolation.aclose()


@pytest.mark.parametrize("where", ["fetching", "unpacking"])
async def test_a_full_disk_is_said_and_nothing_of_the_image_stays(
    registry: Registry, tmp_path: Path, where: str
) -> None:
    data = secrets.token_bytes(30 << 20) if where == "fetching" else b"x" * (30 << 20)
    reference = registry.add(
        "large:1", make_image([archive(member("small")), archive(folder("d"), member("d/x", data))])
    )
    with small_disk(tmp_path / "disk", "24m") as disk:
        process = await pulling(disk.folder, reference, disk.before)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        told = out.decode().splitlines()[-1]
        assert told == f"{reference} cannot be pulled: the disk is full. Nothing of it was kept."
        assert process.returncode == 1
        assert os.listdir(disk.seen / "records/fetching") == []
        assert not [file for file in os.listdir(disk.seen / "records") if file.endswith((".json", ".new"))]
        layers = [path.name for path in (disk.seen / "sandboxes").glob("*/layers/img-*")]
        assert len(layers) <= 1  # the small one may be there
        assert not [name for name in layers if name.endswith(".new")]
