"""What devboxes may use: sizes, and what happens to one that takes more."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from runloop_local.engine.devbox.limits import (
    DEFAULT,
    GIB,
    PROCESSES,
    SIZES,
    LimitMonitor,
    LimitViolation,
    Machine,
    Size,
    disk_violation,
    memory_violation,
    process_violation,
    size_of,
)
from runloop_local.engine.errors import InvalidError
from runloop_local.sandbox.base import Limits, Load, Sandbox
from tests.local.api import Api, connect
from tests.local.serving import COUNTS_PROCESSES, Service, counted_processes, serving
from tests.waiting import PATIENCE

SMALLEST = {"resource_size_request": "X_SMALL"}
CUSTOM = {"resource_size_request": "CUSTOM_SIZE", "custom_cpu_cores": 1, "custom_gb_memory": 4, "custom_disk_size": 2}
MEMORY_BOMB = "python3 -c 'a = []\nwhile True: a.append(bytearray(16 << 20))'"
SHARED_BOMB = """exec python3 -c '
import mmap, time
held = mmap.mmap(-1, 3 << 29)
for start in range(0, 3 << 29, 1 << 20): held[start:start + (1 << 20)] = b"x" * (1 << 20)
time.sleep(1000)'"""
MEMFD_BOMB = """exec python3 -c '
import os, time
held = os.memfd_create("held")
for _ in range(1536): os.write(held, b"x" * (1 << 20))
time.sleep(1000)'"""
DISK_BOMB = "for n in 1 2 3; do fallocate -l 1G file$n || head -c 1G /dev/zero > file$n; done; sleep 1000"
DESCRIPTOR_BOMB = """exec python3 -c '
import time
held = []
try:
    while True: held.append(open("/dev/null"))
except OSError as error:
    print(error.strerror, flush=True)
time.sleep(1000)'"""
FORK_BOMB = "bomb() { bomb | bomb & }; bomb; sleep 1000"


async def ended(api: Api, devbox: str) -> dict[str, Any]:
    return await api.wait(devbox, "failure")


async def answers(api: Api, devbox: str) -> bool:
    """Whether a short command comes to its end while it is waited for."""
    return bool((await api.execute(devbox, "echo alive")).get("stdout") == "alive\n")


@pytest.mark.parametrize(
    ("bomb", "parameters", "reason", "sentence"),
    [
        (MEMORY_BOMB, SMALLEST, "out_of_memory", "1 GB of memory"),
        (DISK_BOMB, CUSTOM, "out_of_disk", "2 GB of disk."),
        ("cat /dev/zero", CUSTOM, "out_of_disk", "GB of it by what its commands printed."),
    ],
    ids=["memory", "disk", "output"],
)
async def test_a_devbox_that_takes_too_much_ends_and_its_neighbour_does_not(
    api: Api, devbox: str, bomb: str, parameters: dict[str, Any], reason: str, sentence: str
) -> None:
    greedy = await api.create(launch_parameters=parameters)
    execution = await api.start(greedy, bomb)
    view = await ended(api, greedy)
    assert view["failure_reason"] == reason
    assert sentence in view["state_transitions"][-1]["failure_reason"]
    result = await api.finish(execution)
    assert result["exit_status"] == 137
    assert sentence in result["stderr"]
    assert await answers(api, devbox)


async def test_a_program_that_the_kernel_ends_for_its_memory_says_so(api: Api) -> None:
    greedy = await api.create(launch_parameters=SMALLEST)
    result = await api.execute(greedy, MEMORY_BOMB)
    assert result["exit_status"] == 137
    assert result["stderr"].endswith("The devbox needed more than its 1 GB of memory.\n")


async def test_a_program_that_is_killed_otherwise_is_not_told_to_have_exceeded_a_limit(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, "kill -9 $$")
    assert (result["exit_status"], result["stderr"]) == (137, "")


async def test_a_background_process_is_looked_after_as_well(api: Api) -> None:
    greedy = await api.create(launch_parameters=SMALLEST)
    await api.execute(greedy, f"(sleep 1; {MEMORY_BOMB}) >/dev/null 2>&1 &")
    assert (await ended(api, greedy))["failure_reason"] == "out_of_memory"


async def test_a_program_that_opens_all_it_can_disturbs_nobody(api: Api, devbox: str) -> None:
    opening = await api.create(launch_parameters=SMALLEST)
    execution = await api.start(opening, DESCRIPTOR_BOMB)
    async for frame in api.follow(execution):
        assert frame["output"] == "Too many open files\n"
        break
    assert await answers(api, devbox)
    assert await answers(api, opening)
    await api.json(f"/v1/devboxes/{opening}/shutdown", {})


async def test_a_fork_bomb_disturbs_nobody(api: Api, devbox: str) -> None:
    forking = await api.create(launch_parameters=SMALLEST)
    await api.start(forking, FORK_BOMB)
    await asyncio.sleep(1)
    assert await answers(api, devbox)
    assert (await api.json(f"/v1/devboxes/{forking}/shutdown", {}))["status"] == "shutdown"
    assert await answers(api, devbox)


# Where there are no control groups, the service looks itself. Their folder is covered, for it and what it starts; a
# control group that it does not know of keeps the machine from harm.
if COUNTS_PROCESSES:

    @pytest.fixture(scope="module", params=["auto", "process"])
    def without_groups(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
        cover = 'echo $$ > "$0/cgroup.procs" && mount -t tmpfs -o ro none /sys/fs/cgroup && exec "$@"'
        with counted_processes(most=PROCESSES + 400) as group:
            before = ("unshare", "-m", "sh", "-c", cover, str(group))
            data = tmp_path_factory.mktemp("without-groups") / "data"
            with serving(data, "--isolation", request.param, before=before) as service:
                yield service
            assert data.with_name("data.log").read_text() == ""

    @pytest.fixture
    async def bare(without_groups: Service) -> AsyncIterator[Api]:
        async with connect(without_groups) as api:
            limits = (await api.get("/local/status")).json()["limits"]
            assert "by control group" not in limits.values()
            yield api

    @pytest.mark.parametrize(
        ("bomb", "parameters", "sentence"),
        [
            (MEMORY_BOMB, SMALLEST, "1 GB of memory"),
            (SHARED_BOMB, SMALLEST, "1 GB of memory"),
            (MEMFD_BOMB, SMALLEST, "1 GB of memory"),
            (DISK_BOMB, CUSTOM, "2 GB of disk"),
        ],
        ids=["memory", "shared memory", "memfd", "disk"],
    )
    async def test_without_control_groups_too_much_is_noticed(
        bare: Api, bomb: str, parameters: dict[str, Any], sentence: str
    ) -> None:
        greedy, neighbour = await bare.create(launch_parameters=parameters), await bare.create()
        await bare.start(greedy, bomb)
        assert sentence in (await ended(bare, greedy))["state_transitions"][-1]["failure_reason"]
        assert await answers(bare, neighbour)

    async def test_without_control_groups_what_lies_beside_devices_is_memory(bare: Api) -> None:
        if (await bare.get("/local/status")).json()["isolation"] != "namespaces":
            return  # plain processes have this machine's devices
        greedy = await bare.create(launch_parameters=SMALLEST)
        await bare.start(greedy, "sudo sh -c 'head -c 1536M /dev/zero > /dev/held; sleep 1000'")
        assert "1 GB of memory" in (await ended(bare, greedy))["state_transitions"][-1]["failure_reason"]

    async def test_without_control_groups_a_fork_bomb_ends_with_its_devbox(bare: Api) -> None:
        forking, neighbour = await bare.create(launch_parameters=SMALLEST), await bare.create()
        await bare.start(forking, FORK_BOMB)
        await asyncio.sleep(1)
        assert (await bare.json(f"/v1/devboxes/{forking}/shutdown", {}))["status"] == "shutdown"
        assert await answers(bare, neighbour)
        assert (await bare.json(f"/v1/devboxes/{neighbour}"))["status"] == "running"


async def test_memory_of_a_bigger_devbox_is_its_own(api: Api) -> None:
    devbox = await api.create(launch_parameters=CUSTOM)
    done = await api.execute(devbox, "python3 -c 'print(len(bytearray(1300 << 20)))'")
    assert (done["exit_status"], done["stdout"]) == (0, f"{1300 << 20}\n")
    assert (await api.json(f"/v1/devboxes/{devbox}"))["status"] == "running"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_half_a_core_is_no_whole_one(api: Api) -> None:
    devbox = await api.create(launch_parameters=SMALLEST)
    busy = "import time; end = time.time() + 2\nwhile time.time() < end: pass\nprint(time.process_time())"
    used = float((await api.execute(devbox, f"python3 -c '{busy}'"))["stdout"])
    by = (await api.get("/local/status")).json()["limits"]["cpu"]
    assert used < 1.5 or by == "lower priority than other programs", used
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})


async def test_usage_is_counted_by_the_size(api: Api) -> None:
    devbox = await api.create(launch_parameters=CUSTOM)
    await asyncio.sleep(1.1)
    usage = await api.json(f"/v1/devboxes/{devbox}/usage")
    active = usage["total_active_seconds"]
    assert active >= 1
    assert (usage["vcpu_seconds"], usage["memory_gb_seconds"]) == (active, 4 * active)
    assert usage["disk_gb_seconds"] == 2 * usage["total_elapsed_seconds"]
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    ended = await api.json(f"/v1/devboxes/{devbox}/usage")
    assert ended["end_time_ms"] >= ended["start_time_ms"]


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({}, DEFAULT),
        *(({"resource_size_request": name}, size) for name, size in SIZES.items()),
        ({"resource_size_request": "LARGE", "custom_cpu_cores": 3}, SIZES["LARGE"]),
        (CUSTOM, Size(1, 4, 2)),
        ({**CUSTOM, "custom_cpu_cores": 0.5, "custom_gb_memory": 1, "custom_disk_size": None}, Size(0.5, 1, 4)),
        ({**CUSTOM, "custom_cpu_cores": 16, "custom_gb_memory": 64, "custom_disk_size": 64}, Size(16, 64, 64)),
    ],
    ids=str,
)
def test_sizes(parameters: dict[str, Any], size: Size) -> None:
    assert size_of(parameters) == size


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"custom_cpu_cores": None}, "needs custom_cpu_cores"),
        ({"custom_gb_memory": None}, "needs custom_cpu_cores and custom_gb_memory"),
        ({"custom_cpu_cores": 3}, "custom_cpu_cores must be"),
        ({"custom_cpu_cores": 0.25}, "custom_cpu_cores must be"),
        ({"custom_cpu_cores": 18}, "custom_cpu_cores must be"),
        ({"custom_gb_memory": 3}, "custom_gb_memory must be 1"),
        ({"custom_gb_memory": 66}, "custom_gb_memory must be 1"),
        ({"custom_disk_size": 3}, "custom_disk_size must be"),
        ({"custom_disk_size": 66}, "custom_disk_size must be"),
        ({"custom_gb_memory": 1}, "2 to 8 times"),
        ({"custom_gb_memory": 10}, "2 to 8 times"),
    ],
    ids=str,
)
async def test_sizes_that_there_are_not(api: Api, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidError, match=complaint):
        size_of({**CUSTOM, **change})
    answer = await api.json("/v1/devboxes", {"launch_parameters": {**CUSTOM, **change}}, status=400)
    assert complaint in answer["message"]


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (Load(GIB, 5), None),
        (Load(GIB + 1, 5), "out_of_memory"),
        (Load(0, 0, killed_for_memory=True), "out_of_memory"),
    ],
    ids=str,
)
def test_when_memory_is_too_much(load: Load, reason: str | None) -> None:
    violation = memory_violation(load, SIZES["X_SMALL"].limits())
    assert (violation and violation.reason) == reason


@pytest.mark.parametrize(
    ("machine", "size", "limits"),
    [
        (Machine(8, 64 * GIB, 500 * GIB), SIZES["X_LARGE"], (16 * GIB, 4, 16 * GIB)),
        (Machine(2, 64 * GIB, 500 * GIB), SIZES["X_LARGE"], (16 * GIB, 2, 16 * GIB)),
        (Machine(8, 3 * GIB // 2, 500 * GIB), SIZES["SMALL"], (3 * GIB // 2, 1, 4 * GIB)),
        (Machine(1, 64 * GIB, 3 * GIB), SIZES["X_SMALL"], (GIB, 0.5, 3 * GIB)),
    ],
    ids=["enough", "few CPUs", "little memory", "small disk"],
)
def test_a_devbox_has_no_more_than_the_machine(machine: Machine, size: Size, limits: tuple[int, float, int]) -> None:
    found = machine.limits(size)
    assert (found.memory_bytes, found.cpus, found.disk_bytes) == limits
    assert (machine.shortage(size) is None) == (found == size.limits())


async def test_what_the_machine_is_too_small_for_is_said_once(api: Api) -> None:
    huge = {**CUSTOM, "custom_cpu_cores": 16, "custom_gb_memory": 64}
    for _ in range(2):
        devbox = await api.create(launch_parameters=huge)
        await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    notes = (await api.get("/local/status")).json()["notes"]
    machine = Machine.here("/")
    said = [note for note in notes if "devboxes of a larger size" in note]
    assert len(said) == (machine.cpus < 16 or machine.memory_bytes < 64 * GIB)
    assert all(f"This machine has {machine.cpus} CPUs" in note for note in said)


def test_when_there_are_too_many_processes() -> None:
    limits = SIZES["X_SMALL"].limits()
    assert process_violation(Load(0, PROCESSES), limits) is None
    assert "4096 processes" in str(process_violation(Load(0, PROCESSES + 1), limits))


@pytest.mark.parametrize(
    ("used", "printed", "sentence"),
    [
        (0, 0, None),
        (4 * GIB, 0, None),
        (GIB, 3 * GIB, None),
        (4 * GIB, 1, "The devbox wrote more than its 4 GB of disk."),
        (GIB, 3 * GIB + 1, "The devbox wrote more than its 4 GB of disk, 3.0 GB of it by what its commands printed."),
    ],
)
def test_when_a_disk_is_too_much(used: int, printed: int, sentence: str | None) -> None:
    violation = disk_violation(used, SIZES["X_SMALL"].limits(), printed=printed)
    assert violation == (sentence and LimitViolation("out_of_disk", sentence))


class Counted:
    """A sandbox of which this is counted, one after the other."""

    def __init__(self, *loads: Load | Exception) -> None:
        self._loads = [*loads]

    async def load(self) -> Load:
        found = self._loads.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def disk_bytes(self) -> int:
        return 0


@pytest.mark.parametrize("lacks", [OSError(errno.EMFILE, "x"), RuntimeError("can't start new thread")], ids=str)
async def test_what_this_machine_lacks_for_a_moment_ends_no_watch(lacks: Exception, tmp_path: Path) -> None:
    found: asyncio.Future[LimitViolation] = asyncio.get_running_loop().create_future()
    sandbox = cast(Sandbox, Counted(lacks, Load(0, 2)))
    monitor = LimitMonitor(sandbox, Limits(GIB, 1, GIB, processes=1), str(tmp_path), found.set_result)
    monitor.notice()
    assert "more than 1 processes" in (await asyncio.wait_for(found, PATIENCE)).sentence
    monitor.end()
