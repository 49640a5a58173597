"""Files over /proc and /sys by which programs see the size of their sandbox, not that of this machine.

The files lie in a tmpfs that the sandbox's programs reach through read-only mounts only. The agent writes those that
change before a command starts, and again while commands run.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runloop_local.sandbox import linux
from runloop_local.sandbox.linux import BIND, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, REMOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FLAGS = NO_SUID | NO_DEV | NO_EXEC
_CPUS, _FILES = "devices/system/cpu", "devices/system/devbox"
"""Folders in /sys; the second has the files that are mounted in /proc."""
_SOONEST_S, _OFTEN_S, _SELDOM_S = 0.1, 0.5, 8.0
_STAT_BYTES, _FILE_BYTES = 1 << 20, 1 << 16
_NUMBER = re.compile(r"^(processor\s*:\s*)\d+$", re.MULTILINE)


class ShownSize(NamedTuple):
    """The size that programs are to see."""

    memory_bytes: int
    cpus: tuple[int, ...]
    """The processors of this machine that are the sandbox's."""


class MemoryUse(NamedTuple):
    """The memory that a sandbox uses, in bytes."""

    used: int
    cached: int = 0
    """The part that the kernel frees when it is needed."""
    shared: int = 0


def meminfo(total: int, use: MemoryUse) -> str:
    """The text of /proc/meminfo for this size; always as long."""
    free = max(0, total - use.used)
    values = {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": min(total, free + use.cached),
        "Buffers": 0,
        "Cached": use.cached + use.shared,
        "SwapCached": 0,
        "Active": max(0, use.used - use.cached),
        "Inactive": use.cached,
        "Shmem": use.shared,
        "Slab": 0,
        "SReclaimable": 0,
        "SUnreclaim": 0,
        "SwapTotal": 0,
        "SwapFree": 0,
        "Dirty": 0,
        "Writeback": 0,
    }
    # Columns of one width: each text covers the one before, and a reader never finds half of a longer one.
    return "".join(f"{f'{name}:':<16}{value >> 10:>12} kB\n" for name, value in values.items())


def stat(machine: str, cpus: Sequence[int]) -> str:
    """The text of /proc/stat with these processors alone, numbered from 0; `machine` is this machine's."""
    rows = dict(line.split(" ", 1) for line in machine.splitlines() if " " in line)
    times = [[int(number) for number in rows.get(f"cpu{cpu}", "0").split()] for cpu in cpus]
    lines = [f"cpu  {_row([sum(column) for column in zip(*times, strict=False)])}"]
    lines += [f"cpu{number} {_row(each)}" for number, each in enumerate(times)]
    others = ("ctxt", "btime", "processes", "procs_running", "procs_blocked")
    lines += [f"{name} {rows[name]}" for name in others if name in rows]
    return "".join(f"{line}\n" for line in lines)


def _row(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def cpuinfo(machine: str, cpus: Sequence[int]) -> str:
    """The text of /proc/cpuinfo with these processors alone, numbered from 0; `machine` is this machine's."""
    blocks = [block for block in machine.strip().split("\n\n") if _NUMBER.search(block)]
    by_number = dict(enumerate(blocks))
    kept = [by_number[cpu] for cpu in cpus if cpu in by_number]
    texts = [_NUMBER.sub(rf"\g<1>{number}", block, count=1) for number, block in enumerate(kept)]
    return "".join(f"{text}\n\n" for text in texts)


def cpu_list(count: int) -> str:
    """The processors as the files of /sys list them."""
    return "0\n" if count == 1 else f"0-{count - 1}\n"


Files = Mapping[str, int]
"""Descriptors of `meminfo` and `stat`."""


class Refresh(Protocol):
    """Brings the files up to date."""

    def __call__(self, *, soon: bool = False) -> float:
        """Write them, unless they are new; returns the seconds after which to do so again.

        `soon` says that a command is about to start, which may read them.
        """
        ...


class SizeFiles:
    """The files of one sandbox that change as it runs; written by its agent."""

    def __init__(self, size: ShownSize, memory_use: Callable[[], MemoryUse], files: Files, machine_stat: int) -> None:
        """Write to the files that `mount` has opened; `machine_stat` is a descriptor of this machine's /proc/stat."""
        self._size = size
        self._memory_use = memory_use
        self._files = files
        self._machine_stat = machine_stat
        self._written = -_SELDOM_S
        self._interval = _OFTEN_S

    def refresh(self, *, soon: bool = False) -> float:
        """Bring the files up to date, as `Refresh` says: often after a command was started, seldom later."""
        age = time.monotonic() - self._written
        if soon:
            self._interval = _OFTEN_S
        if age > (_SOONEST_S if soon else self._interval):
            self._write(self._memory_use())
            self._interval = _OFTEN_S if soon else min(2 * self._interval, _SELDOM_S)
            return self._interval
        return self._interval - age

    def _write(self, use: MemoryUse) -> None:
        _rewrite(self._files["meminfo"], meminfo(self._size.memory_bytes, use))
        _rewrite(self._files["stat"], stat(os.pread(self._machine_stat, _STAT_BYTES, 0).decode(), self._size.cpus))
        self._written = time.monotonic()


@cache  # by the helper process, before it forks: it takes longer than the rest of a mount
def machine_cpuinfo() -> str:
    """The text of this machine's /proc/cpuinfo."""
    return Path("/proc/cpuinfo").read_text(errors="replace")


def mount(size: ShownSize, uid: int) -> Files:
    """Mount the files over those of `proc` and `sys` in the working directory, which is the sandbox's root.

    Those that change are empty until a command is about to start, and returned, for `SizeFiles`.
    """
    linux.mount("tmpfs", "sys", "tmpfs", _FLAGS, f"uid={uid},gid={uid},mode=755,size=1m")
    # They are written through a mount of its own: a mount that files are open on for writing cannot become read-only.
    folder = linux.open_tree("sys")
    _make_folders(len(size.cpus), folder)
    files = {name: _create(f"{_FILES}/{name}", folder) for name in ("meminfo", "stat")}
    os.close(_create(f"{_FILES}/cpuinfo", folder, cpuinfo(machine_cpuinfo(), size.cpus)))
    for name in (*files, "cpuinfo"):
        linux.mount(f"sys/{_FILES}/{name}", f"proc/{name}", None, BIND)
        linux.mount(None, f"proc/{name}", None, BIND | REMOUNT | READ_ONLY | _FLAGS)
    linux.mount(None, "sys", None, BIND | REMOUNT | READ_ONLY | _FLAGS)
    return files


def _make_folders(count: int, folder: int) -> None:
    above = ["devices", "devices/system", _FILES, _CPUS]
    topologies = [f"{_CPUS}/cpu{number}/topology" for number in range(count)]
    for path in (*above, *(part for each in topologies for part in (os.path.dirname(each), each))):  # noqa: PTH120
        os.mkdir(path, 0o755, dir_fd=folder)
    texts = {f"{_CPUS}/{name}": cpu_list(count) for name in ("online", "possible", "present")}
    for number, topology in enumerate(topologies):
        texts[f"{topology}/core_id"] = f"{number}\n"
        texts[f"{topology}/physical_package_id"] = "0\n"
        # Masks: a core has one thread, and the one package has all cores.
        texts[f"{topology}/thread_siblings"] = f"{1 << number:x}\n"
        texts[f"{topology}/core_siblings"] = f"{(1 << count) - 1:x}\n"
    for path, text in texts.items():
        os.close(_create(path, folder, text))


def _create(path: str, folder: int, text: str = "") -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=folder)
    os.write(file, text.encode())
    return file


def _rewrite(file: int, text: str) -> None:
    data = text.encode()
    os.pwrite(file, data, 0)
    os.ftruncate(file, len(data))


class GroupMemory:
    """The memory use of a control group, by files that stay readable after the sandbox's root was entered."""

    def __init__(self, folder: Path, version: int) -> None:
        self._cache = b"cache" if version == 1 else b"file"
        usage = "memory.usage_in_bytes" if version == 1 else "memory.current"
        self._usage, self._stat = (
            os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC) for name in (usage, "memory.stat")
        )

    @classmethod
    def of(cls, joined: Sequence[str]) -> GroupMemory | None:
        """That of the group which is joined by one of these files; None if none of them counts memory."""
        for file in map(Path, joined):
            for version, name in ((1, "memory.usage_in_bytes"), (2, "memory.current")):
                if (file.parent / name).exists():
                    return cls(file.parent, version)
        return None

    def __call__(self) -> MemoryUse:
        """The use now."""
        lines = os.pread(self._stat, _FILE_BYTES, 0).splitlines()
        found = dict(line.split(b" ", 1) for line in lines if b" " in line)
        cached, shared = (int(found.get(name, 0)) for name in (self._cache, b"shmem"))
        used = int(os.pread(self._usage, 64, 0))
        return MemoryUse(used, max(0, cached - shared), shared)
