from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runloop_local.sandbox import open_isolation, processes
from tests.waiting import until

from .conftest import LANDLOCK, every_way, marker, processes_with

SERVICE = """
import asyncio, os, sys
from pathlib import Path
from runloop_local.sandbox import Command
from runloop_local.sandbox.namespaces import NamespacesIsolation
from runloop_local.sandbox.process import ProcessIsolation

async def main(way, data, time):
    process = way in ("landlock", "none")
    isolation = ProcessIsolation(data, way) if process else NamespacesIsolation(data, way)
    null = os.open(os.devnull, os.O_RDWR)

    async def one(number):
        sandbox = await isolation.create(f"box-{number}")
        await sandbox.start()
        for argv in (("sleep", time), ("sh", "-c", f"(setsid sleep {time} &)")):
            await sandbox.spawn(Command(argv), stdin=null, stdout=null, stderr=null)

    await asyncio.gather(*map(one, range(40)))
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
"""


@contextmanager
def forty_sandboxes(way: str, folder: Path, time: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service, with two programs that outlive their command's end in each of its sandboxes."""
    argv = [sys.executable, "-c", SERVICE, way, str(folder), time]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as service:
        try:
            assert service.stdout
            assert service.stdout.readline() == b"ready\n"
            asyncio.run(until(lambda: len(processes_with(f"sleep\0{time}")) == 80))
            yield service
        finally:
            service.kill()


@every_way
def test_a_killed_service_takes_forty_sandboxes_with_it(way: str, tmp_path: Path) -> None:
    time = marker()
    with forty_sandboxes(way, tmp_path, time):
        pass  # its end is that of a killed service
    asyncio.run(until(lambda: not processes_with(time)))
    asyncio.run(until(lambda: not any_process_in(tmp_path)))


@pytest.mark.parametrize("way", [*LANDLOCK, "none"])
def test_what_outlives_a_service_and_all_its_helpers_ends_when_the_next_one_starts(way: str, tmp_path: Path) -> None:
    time = marker()
    with forty_sandboxes(way, tmp_path, time) as service:
        kill_at_once([service.pid, *(set(processes.descendants(service.pid)) - set(processes_with(time)))])
    assert len(processes_with(f"sleep\0{time}")) == 80
    asyncio.run(open_and_close(tmp_path))
    asyncio.run(until(lambda: not processes_with(time)))


def kill_at_once(pids: Iterable[int]) -> None:
    """So that none of them sees another one's end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):  # a shell that has just ended by itself
                os.kill(pid, number)


async def open_and_close(folder: Path) -> None:
    await (await open_isolation(folder, "process")).aclose()


def any_process_in(folder: Path) -> bool:
    """Whether an agent still has the folder for its working directory, or a mount of it."""
    own = Path("/proc/self/mountinfo").read_text()
    return str(folder) in own or any(str(folder) in cwd for cwd in working_directories())


def working_directories() -> list[str]:
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found.append(str(link.readlink()))
        except OSError:
            continue
    return found
