"""Starts a service for an instrument, and measures what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runloop_sdk import AsyncRunloopSDK
from tests.local.processes import descendants
from tests.local.serving import Service, serving

from . import observed
from .observed import WORD

if TYPE_CHECKING:
    from .findings import Report

_SETTLES_WITHIN_S = 30.0
_GROWTH_MB = 40.0
_FOLDERS = ("sandboxes/*/sandboxes/*", "sandboxes/*/layers/*", "objects/*", "builds/*")
_KEPT_LAYERS = {"base", "skeleton"}
_WORST = 3000


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Service]:
    """Run a service on `folder/data`, with its log in `folder/data.log`."""
    with serving(folder / "data", *options, program=Path(observed.__file__)) as service:
        yield service


def client(service: Service, base_url: str | None = None, **options: object) -> AsyncRunloopSDK:
    """The SDK for a service, or for a proxy in front of it."""
    return AsyncRunloopSDK(bearer_token=service.api_key, base_url=base_url or service.base_url, **options)  # type: ignore[arg-type] # as given


def check_log(service: Service, instrument: str, report: Report) -> None:
    """Report each kind of traceback in the service's log."""
    for text in tracebacks(log_of(service).read_text(errors="replace")).values():
        report.found(instrument, "other", f"the service's log says\n{text}")


def tracebacks(log: str) -> dict[str, str]:
    """The last lines of each kind of traceback in a log, by last frame and error."""
    found = {}
    for start in re.finditer(r"^(Traceback \(most recent|Exception ignored|.*was never awaited)", log, re.MULTILINE):
        lines = log[start.start() :].splitlines()
        end = next((n for n, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), 0)
        frames = [line.strip() for line in lines[:end] if line.startswith("  File")]
        found[f"{frames[-1:]} {lines[end][:100]}"] = "\n".join(lines[max(0, end - 8) : end + 1])[:_WORST]
    return found


def log_of(service: Service) -> Path:
    """The file with the service's stderr."""
    return service.data_dir.with_name(f"{service.data_dir.name}.log")


@dataclass(frozen=True, slots=True)
class Footprint:
    """The resources that a service uses on this machine."""

    processes: int
    threads: int
    memory_mb: float
    descriptors: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    mounts: int = 0
    groups: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()


def leaks(before: Footprint, after: Footprint) -> list[str]:
    """Describe what has grown, one sentence each; memory may grow by what caches and records take."""
    found = [
        f"{more} more {what}"
        for what, more in (
            ("processes", after.processes - before.processes),
            ("mounts", after.mounts - before.mounts),
            *((f"descriptors of {kind}", count) for kind, count in (after.descriptors - before.descriptors).items()),
            *((f"tasks of {name}", count) for name, count in (after.tasks - before.tasks).items()),
        )
        if more > 0
    ]
    for what, left in (("control groups", after.groups - before.groups), ("on disk", after.folders - before.folders)):
        if left:
            found.append(f"{len(left)} {what} left: {', '.join(sorted(left)[:5])}")
    if after.memory_mb - before.memory_mb > _GROWTH_MB:
        found.append(f"memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    return found


async def footprint(service: Service) -> Footprint:
    """Measure a service now."""
    return _footprint(service, await _tasks(service))


def _footprint(service: Service, tasks: Counter[str]) -> Footprint:
    pid = service.process.pid
    return Footprint(
        processes=len(descendants(pid)),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        memory_mb=memory_mb(pid),
        descriptors=_descriptors(pid),
        tasks=tasks,
        mounts=Path(f"/proc/{pid}/mountinfo").read_text().count(str(service.data_dir)),
        groups=_groups(pid),
        folders=_folders(service.data_dir),
    )


async def settled(service: Service, before: Footprint) -> Footprint:
    """Measure a service once there are no leaks, or after a time limit, as much is cleaned up in the background."""
    deadline = time.monotonic() + _SETTLES_WITHIN_S
    while leaks(before, now := await footprint(service)) and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
    return now


def memory_mb(pid: int) -> float:
    """The private memory of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+)", text, re.MULTILINE)) / 1000


async def _tasks(service: Service) -> Counter[str]:
    log = log_of(service)
    seen = log.read_text(errors="replace").count(WORD)
    os.kill(service.process.pid, signal.SIGUSR2)
    async with asyncio.timeout(10):
        while (text := log.read_text(errors="replace")).count(WORD) == seen or not text.endswith("\n"):
            await asyncio.sleep(0.02)
    told: dict[str, int] = json.loads(text.rpartition(WORD)[2])
    return Counter(told)


def _descriptors(pid: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[re.sub(r"\W*\d+\W*$", "", str(link.readlink())).rpartition("/")[2] or "?"] += 1
        except FileNotFoundError:
            continue
    return found


def _groups(pid: int) -> frozenset[str]:
    return frozenset(
        str(folder)
        for parent in Path("/sys/fs/cgroup").glob(f"**/runloop-local-{pid}-*")
        for folder in parent.iterdir()
        if folder.is_dir()
    )


def _folders(data_dir: Path) -> frozenset[str]:
    cached = _cached_layers(data_dir / "service.db") | _KEPT_LAYERS
    paths = (path for pattern in _FOLDERS for path in data_dir.glob(pattern))
    return frozenset(
        str(path.relative_to(data_dir)) for path in paths if not (path.parent.name == "layers" and path.name in cached)
    )


def _cached_layers(database: Path) -> set[str]:
    """The layers of cached build steps."""
    statement = "SELECT DISTINCT value FROM documents, json_each(body, '$.layers') WHERE kind = 'cached_step'"
    # The service keeps its database locked, so a copy of it and of its WAL is read.
    with tempfile.TemporaryDirectory() as folder:
        for file in database.parent.glob(f"{database.name}*"):
            shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
            return {value for (value,) in connection.execute(statement)}
