from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
import pytest_asyncio

from runloop_local.sandbox import Command, Isolation, Sandbox, SandboxError, User
from runloop_local.sandbox.namespaces import DriverName, NamespacesIsolation, available_drivers
from runloop_local.sandbox.probe import has_landlock, try_out
from runloop_local.sandbox.process import Confinement, ProcessIsolation
from tests.waiting import PATIENCE

CONFINEMENTS: dict[str, Confinement] = {"landlock": "landlock", "none": "none"}
DATA_DIR = Path(tempfile.mkdtemp(prefix="sandbox-tests-"))


def open_way(way: str, data_dir: Path) -> NamespacesIsolation | ProcessIsolation:
    if way in CONFINEMENTS:
        return ProcessIsolation(data_dir, CONFINEMENTS[way])
    return NamespacesIsolation(data_dir, driver_named(way))


def driver_named(name: str) -> DriverName:
    return next(driver for driver in available_drivers() if driver == name)


async def _that_work(drivers: Sequence[DriverName]) -> list[DriverName]:
    work = await asyncio.gather(*map(_works, drivers))
    return [driver for driver, works in zip(drivers, work, strict=True) if works]


async def _works(driver: DriverName) -> bool:
    isolation = NamespacesIsolation(DATA_DIR / "offered", driver)
    try:
        await try_out(isolation)
    except SandboxError:
        return False
    finally:
        await isolation.aclose()
    return True


NAMESPACES = asyncio.run(_that_work(available_drivers())) if sys.platform == "linux" else []
LANDLOCK = ["landlock"] if has_landlock() else []
EVERY_WAY = [*NAMESPACES, *LANDLOCK, "none"]


every_way = pytest.mark.parametrize("way", EVERY_WAY, scope="session")

# Where the machine offers none, the ways that it has must say so: see test_choice.
namespaces_only = pytest.mark.parametrize("way", NAMESPACES or ["none"], scope="session")


@pytest.fixture(scope="session", autouse=True)
def _clean_up() -> Iterator[None]:
    yield
    os.system(f"rm -rf {DATA_DIR}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def isolations() -> AsyncIterator[Callable[[str], Isolation]]:
    opened: dict[str, Isolation] = {}

    def of(way: str) -> Isolation:
        if way not in opened:
            isolation = open_way(way, DATA_DIR / way)
            opened[way] = isolation
            if isinstance(isolation, NamespacesIsolation):
                isolation.prepare()
        return opened[way]

    yield of
    for isolation in opened.values():
        await isolation.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def isolation(isolations: Callable[[str], Isolation], way: str) -> Isolation:
    return isolations(way)


MakeSandbox = Callable[..., Awaitable[Sandbox]]


@pytest_asyncio.fixture(loop_scope="session")
async def make(isolation: Isolation) -> AsyncIterator[MakeSandbox]:
    made: list[Sandbox] = []

    async def make_one(*, layers: tuple[str, ...] = ()) -> Sandbox:
        sandbox = await isolation.create(f"box-{secrets.token_hex(4)}", layers=layers)
        made.append(sandbox)
        await sandbox.start()
        return sandbox

    yield make_one
    for sandbox in made:
        await sandbox.destroy()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(make: MakeSandbox) -> Sandbox:
    return await make()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


async def run(
    sandbox: Sandbox,
    command: str | tuple[str, ...],
    *,
    user: User | str = "user",
    stdin: str = "",
    cwd: str | None = None,
    env: dict[str, str] | None = None,
) -> Result:
    argv = ("sh", "-c", command) if isinstance(command, str) else command
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = await sandbox.spawn(
            Command(argv, user=user, cwd=cwd, env=env or {}),
            stdin=given.fileno(),
            stdout=out.fileno(),
            stderr=err.fileno(),
        )
        status = await asyncio.wait_for(process.wait(), PATIENCE)
        return Result(status, _text(out), _text(err))


@asynccontextmanager
async def spawned(sandbox: Sandbox, argv: tuple[str, ...], *, user: User = "user") -> AsyncIterator[str]:
    """The first line of a program that goes on running; it is killed at the end."""
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    process = await sandbox.spawn(Command(argv, user=user), stdin=null, stdout=writer, stderr=writer)
    os.close(writer)
    os.close(null)
    with open(reader) as lines:  # noqa: ASYNC230 - a pipe that is there
        try:
            yield (await asyncio.wait_for(asyncio.to_thread(lines.readline), PATIENCE)).strip()
        finally:
            await process.signal(signal.SIGKILL)
            await process.wait()


async def output(sandbox: Sandbox, command: str | tuple[str, ...], *, user: User | str = "user") -> str:
    """What a command that must succeed prints."""
    result = await run(sandbox, command, user=user)
    assert result.status == 0, result
    return result.out.strip()


def processes_with(marker: str) -> list[int]:
    """The processes of this machine that have the marker in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def marker() -> str:
    """A time to sleep that no other process has."""
    return f"{3_000_000 + secrets.randbelow(10**9)}"
