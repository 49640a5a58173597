"""What the files say that show a sandbox's size, and on which processors it runs."""

from __future__ import annotations

import pytest

from runloop_local.sandbox.cpus import CpuAllocator
from runloop_local.sandbox.size_files import MemoryUse, cpu_list, cpuinfo, meminfo, stat

GIB = 1 << 30


def test_processors_are_those_with_the_fewest_sandboxes() -> None:
    cpus = CpuAllocator({2, 3, 5})
    assert [cpus.take(0.5), cpus.take(1), cpus.take(2)] == [(2,), (3,), (2, 5)]
    cpus.release((3,))
    assert [cpus.take(1), cpus.take(16)] == [(3,), (2, 3, 5)]


@pytest.mark.parametrize(("count", "text"), [(1, "0\n"), (2, "0-1\n"), (16, "0-15\n")])
def test_processors_as_a_list(count: int, text: str) -> None:
    assert cpu_list(count) == text


@pytest.mark.parametrize(
    ("use", "free", "available"),
    [
        (MemoryUse(0), 1 << 20, 1 << 20),
        (MemoryUse(GIB // 2, GIB // 4), 1 << 19, 3 << 18),
        (MemoryUse(2 * GIB), 0, 0),
        (MemoryUse(GIB, 2 * GIB), 0, 1 << 20),
    ],
    ids=["none", "some of it cached", "more than all", "all of it cached"],
)
def test_memory(use: MemoryUse, free: int, available: int) -> None:
    fields = {line.split(":")[0]: int(line.split()[1]) for line in meminfo(GIB, use).splitlines()}
    assert (fields["MemTotal"], fields["MemFree"], fields["MemAvailable"]) == (1 << 20, free, available)
    assert len(meminfo(GIB, use)) == len(meminfo(512 * GIB, MemoryUse(0)))


def test_processor_times_are_those_of_its_own() -> None:
    machine = "cpu  9 9 9\ncpu0 1 2 3\ncpu1 4 5 6\ncpu2 7 8 9\nintr 1 2 3\nctxt 7\nbtime 5\nsoftirq 1 2\n"
    assert stat(machine, (0, 2)) == "cpu  8 10 12\ncpu0 1 2 3\ncpu1 7 8 9\nctxt 7\nbtime 5\n"
    assert stat(machine, (1, 7)) == "cpu  4\ncpu0 4 5 6\ncpu1 0\nctxt 7\nbtime 5\n"


@pytest.mark.parametrize(
    ("machine", "kept"),
    [
        ("processor\t: 0\nname: a\n\nprocessor\t: 1\nname: b\n\n", "processor\t: 0\nname: b\n\n"),
        ("processor\t: 0\nname: a\n\nHardware: x\n", ""),
        ("", ""),
    ],
    ids=["second of two", "gone", "empty"],
)
def test_processors_are_numbered_from_zero(machine: str, kept: str) -> None:
    assert cpuinfo(machine, (1,)) == kept
