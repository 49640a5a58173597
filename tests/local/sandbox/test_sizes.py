"""A sandbox shows the size that it has, not this machine's."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from runloop_local.sandbox import Isolation, Sandbox, User
from runloop_local.sandbox.base import Limits
from tests.local.sandbox.conftest import NAMESPACES, every_way, namespaces_only, output, run
from tests.waiting import until

GIB = 1 << 30
MACHINE = len(os.sched_getaffinity(0))
Sized = Callable[..., Awaitable[Sandbox]]
CPUS = "import os; print(os.cpu_count(), os.sysconf('SC_NPROCESSORS_ONLN'), len(os.sched_getaffinity(0)))"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def sized(isolation: Isolation) -> AsyncIterator[Sized]:
    made: list[Sandbox] = []

    async def make(cpus: float, memory: int = GIB) -> Sandbox:
        sandbox = await isolation.create(f"sized-{secrets.token_hex(4)}")
        made.append(sandbox)
        sandbox.limit(Limits(memory, cpus, GIB, 1000))
        await sandbox.start()
        return sandbox

    yield make
    for sandbox in made:
        await sandbox.destroy()


def _used(text: str) -> int:
    fields = dict(line.split(":") for line in text.splitlines())
    kilobytes = {name: int(value.split()[0]) for name, value in fields.items()}
    return (kilobytes["MemTotal"] - kilobytes["MemAvailable"]) >> 10


@every_way
@pytest.mark.parametrize("cpus", [0.5, 1, 64], ids=str)
async def test_nproc_is_what_a_sandbox_may_use(sized: Sized, cpus: float) -> None:
    sandbox = await sized(cpus)
    assert await output(sandbox, "nproc") == str(min(MACHINE, max(1, int(cpus))))


if NAMESPACES:

    @namespaces_only
    @pytest.mark.parametrize("user", ["user", "root"])
    async def test_programs_see_its_size(sized: Sized, user: User) -> None:
        sandbox = await sized(1, 3 * GIB)
        assert await output(sandbox, ("python3", "-c", CPUS), user=user) == "1 1 1"
        assert await output(sandbox, "grep -c ^processor /proc/cpuinfo", user=user) == "1"
        assert (await output(sandbox, "grep ^cpu /proc/stat | cut -d' ' -f1", user=user)).split() == ["cpu", "cpu0"]
        assert await output(sandbox, "awk '/MemTotal/ {print $2}' /proc/meminfo", user=user) == f"{3 << 20}"
        assert (await output(sandbox, "free -m | awk '/^Mem/ {print $2}'", user=user)) == "3072"

    @namespaces_only
    async def test_more_than_the_machine_has_is_not_shown(sized: Sized) -> None:
        sandbox = await sized(MACHINE + 2)
        assert await output(sandbox, ("python3", "-c", CPUS)) == f"{MACHINE} {MACHINE} {MACHINE}"

    @namespaces_only
    async def test_memory_that_is_in_use_is_seen(sized: Sized) -> None:
        sandbox = await sized(1)
        before = _used(await output(sandbox, "cat /proc/meminfo"))
        await output(sandbox, "head -c 200M /dev/zero > /dev/shm/held")

        async def grown() -> bool:
            return _used(await output(sandbox, "cat /proc/meminfo")) >= before + 190

        assert await until(grown, "the memory to be counted")

    @namespaces_only
    async def test_a_program_that_goes_on_running_sees_new_figures(sized: Sized) -> None:
        sandbox = await sized(1)
        waits = 'before=$(cat /proc/stat); while [ "$before" = "$(cat /proc/stat)" ]; do sleep 0.1; done'
        assert (await run(sandbox, waits)).status == 0

    @namespaces_only
    @pytest.mark.parametrize(
        "file",
        [
            "/proc/meminfo",
            "/proc/stat",
            "/proc/cpuinfo",
            "/sys/devices/system/cpu/online",
            "/sys/devices/system/devbox/stat",
        ],
    )
    async def test_its_root_cannot_change_them(sized: Sized, file: str) -> None:
        sandbox = await sized(1)
        before = await output(sandbox, ("wc", "-l", file))
        for attempt in (f"echo 9 > {file}", f"chmod 666 {file}", f"umount {file}", f"mount --bind /etc/passwd {file}"):
            assert (await run(sandbox, attempt, user="root")).status
        assert await output(sandbox, ("wc", "-l", file)) == before

    @namespaces_only
    async def test_small_sandboxes_are_spread_over_the_processors(sized: Sized) -> None:
        own = ("python3", "-c", "import os; print(*os.sched_getaffinity(0))")
        found = [await output(await sized(1), own) for _ in range(MACHINE)]
        assert len(set(found)) == MACHINE, found
