"""Control groups: what is written where, as tables; the kernel's part on sandboxes that use too much."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from runloop_local.sandbox import Command, Sandbox
from runloop_local.sandbox.base import Limits, Load
from runloop_local.sandbox.cgroups import ControlGroups, service_folders, settings
from tests.local.sandbox.conftest import MakeSandbox, every_way, run
from tests.waiting import until

SESSION_LOOP = pytest.mark.asyncio(loop_scope="session")
GIB = 1 << 30
LIMITS = Limits(memory_bytes=GIB, cpus=0.5, disk_bytes=GIB, processes=100)

V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
39 31 0:36 /docker/ab /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V1_OWN = "8:pids:/docker/ab/cd\n4:memory:/user.slice/me\n1:cpu,cpuacct:/\n0::/user.slice/me.scope\n"
V2_MOUNTS = "30 23 0:26 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
SESSION = "/user.slice/user-1000.slice/user@1000.service/app.slice"


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "version", "folders"),
    [
        (
            V1_MOUNTS,
            V1_OWN,
            1,
            {
                "cpu": "/sys/fs/cgroup/cpu,cpuacct",
                "memory": "/sys/fs/cgroup/memory/user.slice/me",
                "pids": "/sys/fs/cgroup/pids/cd",
            },
        ),
        (
            V2_MOUNTS,
            f"0::{SESSION}/terminal.scope\n",
            2,
            dict.fromkeys(("memory", "pids", "cpu"), f"/sys/fs/cgroup{SESSION}"),
        ),
        (V2_MOUNTS, "0::/\n", 2, dict.fromkeys(("memory", "pids", "cpu"), "/sys/fs/cgroup")),
        ("22 1 8:1 / / rw - ext4 /dev/vda rw\n", "", 2, {}),
    ],
    ids=["version 1", "version 2 in a session", "version 2 in a container", "none"],
)
def test_where_groups_are_made(mountinfo: str, cgroup: str, version: int, folders: dict[str, str]) -> None:
    assert service_folders(mountinfo.encode(), cgroup) == (
        version,
        {name: Path(path) for name, path in folders.items()},
    )


def test_what_is_written() -> None:
    one, two = settings(LIMITS, 1), settings(LIMITS, 2)
    assert one["memory"][0] == ("memory.limit_in_bytes", str(GIB))
    assert ("?cpu.cfs_quota_us", "50000") in one["cpu"]
    assert one["pids"] == two["pids"] == [("pids.max", "100")]
    assert two["memory"] == [("memory.max", str(GIB)), ("?memory.swap.max", "0")]
    assert ("cpu.max", "50000 100000") in two["cpu"]


def test_a_hierarchy_that_refuses_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    groups = ControlGroups(2, {})
    assert not groups.has("memory")
    assert groups.make("box", LIMITS) == []
    assert groups.load("box") is None
    groups.end("box")
    groups.remove("box")
    groups.close()


@asynccontextmanager
async def holding(sandbox: Sandbox, size: int) -> AsyncIterator[None]:
    """A process that has taken so many bytes of memory."""
    program = f"import sys; a = bytearray({size}); print('held', flush=True); sys.stdin.read()"
    (stdin, go), (said, stdout) = os.pipe(), os.pipe()
    process = await sandbox.spawn(Command(("python3", "-c", program)), stdin=stdin, stdout=stdout, stderr=stdout)
    os.close(stdin)
    os.close(stdout)
    assert await asyncio.to_thread(os.read, said, 100) == b"held\n"
    yield
    os.close(go)
    os.close(said)
    assert await process.wait() == 0


async def idle_load(sandbox: Sandbox) -> Load | None:
    """What it uses while nothing runs in it."""
    load = await sandbox.load()
    return load if load.processes == 0 else None


@SESSION_LOOP
@every_way
async def test_load_is_counted_with_and_without_groups(make: MakeSandbox) -> None:
    for limits in (None, LIMITS):
        sandbox = await make()
        if limits is not None:
            await sandbox.stop()
            sandbox.limit(limits)
            await sandbox.start()
        before = await until(partial(idle_load, sandbox), "what starts a sandbox to have ended")
        async with holding(sandbox, 200 << 20):
            load = await sandbox.load()
            assert load.processes >= 1
            assert 200 << 20 < load.memory_bytes - before.memory_bytes < 300 << 20
            assert not load.killed_for_memory


@SESSION_LOOP
@every_way
async def test_disk_is_counted(make: MakeSandbox) -> None:
    sandbox = await make()
    before = await sandbox.disk_bytes()
    await run(sandbox, "head -c 30M /dev/zero > ~/file; mkdir ~/closed; head -c 10M /dev/zero > ~/closed/file")
    assert 40 << 20 <= await sandbox.disk_bytes() - before < 42 << 20
