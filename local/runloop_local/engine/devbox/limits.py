"""The limits of a devbox: the sizes that can be asked for, and the end of one that uses more.

Memory, processes and CPU are limited by the kernel where it lets the service do so. The rest is looked at: often while
something happens in a devbox, seldom while it goes on as before, never while nothing runs in it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from ...sandbox.base import Limits, SandboxError
from ..errors import InvalidError, of_machine
from ..storage.retention_limits import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...sandbox.base import Load, Sandbox
    from .lifecycle import FailureReason

GIB = 1 << 30
PROCESSES = 4096
OFTEN_S, SELDOM_S = 0.25, 2.0
_DISK_STEP = 64 << 20
"""A disk is counted again once the machine's has lost this much, or after some seconds."""
_DISK_SECONDS = 5.0
_DISK_PAUSE = 20.0
"""Counting takes at most one part in so many of the time."""
DEVBOX = "The devbox"
_MOST_CORES, _MOST_MEMORY_GB, _MOST_DISK_GB = 16, 64, 64


class Size(msgspec.Struct, frozen=True):
    """The resources of a devbox."""

    cores: float
    memory_gb: int
    disk_gb: int

    def limits(self) -> Limits:
        """The limits of a sandbox of this size."""
        return Limits(self.memory_gb * GIB, self.cores, self.disk_gb * GIB, PROCESSES)

    def at_least(self, other: Size) -> Size:
        """The larger of both in each respect."""
        return Size(
            max(self.cores, other.cores), max(self.memory_gb, other.memory_gb), max(self.disk_gb, other.disk_gb)
        )


class Machine(msgspec.Struct, frozen=True):
    """The resources of this machine that devboxes share."""

    cpus: int
    memory_bytes: int
    disk_bytes: int

    @classmethod
    def here(cls, folder: str) -> Machine:
        """Those that this service may use, with the disk of this folder."""
        cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        found = os.statvfs(folder)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(cpus, memory, found.f_blocks * found.f_frsize)

    def limits(self, size: Size) -> Limits:
        """The limits of a sandbox of this size: no more than there is."""
        asked = size.limits()
        return Limits(
            min(asked.memory_bytes, self.memory_bytes),
            min(asked.cpus, self.cpus),
            min(asked.disk_bytes, self.disk_bytes),
            asked.processes,
        )

    def shortage(self, size: Size) -> str | None:
        """A sentence for the user if this size is more than there is."""
        if self.limits(size) == size.limits():
            return None
        memory, disk = format_size(self.memory_bytes), format_size(self.disk_bytes)
        return (
            f"This machine has {self.cpus} CPUs, {memory} of memory and {disk} of disk: devboxes of a larger size have "
            "no more than that."
        )


SIZES: Mapping[str, Size] = {
    "X_SMALL": Size(0.5, 1, 4),
    "SMALL": Size(1, 2, 4),
    "MEDIUM": Size(2, 4, 8),
    "LARGE": Size(2, 8, 16),
    "X_LARGE": Size(4, 16, 16),
    "XX_LARGE": Size(8, 32, 16),
}
DEFAULT = SIZES["SMALL"]
BUILD = SIZES["LARGE"]
"""The size of a build, unless its devboxes are to have more."""


def size_of(parameters: Mapping[str, Any]) -> Size:
    """The size that launch parameters ask for; raises `InvalidError` if there is no such size."""
    asked = parameters.get("resource_size_request")
    if asked is None:
        return DEFAULT
    return _custom(parameters) if asked == "CUSTOM_SIZE" else SIZES[asked]


def _custom(parameters: Mapping[str, Any]) -> Size:
    cores, memory = parameters.get("custom_cpu_cores"), parameters.get("custom_gb_memory")
    disk = parameters.get("custom_disk_size") or DEFAULT.disk_gb
    if cores is None or memory is None:
        raise InvalidError("CUSTOM_SIZE needs custom_cpu_cores and custom_gb_memory.")
    if cores not in (0.5, 1) and not _is_even(cores, _MOST_CORES):
        raise InvalidError(f"custom_cpu_cores must be 0.5, 1 or an even number to {_MOST_CORES}, not {cores:g}.")
    if memory != 1 and not _is_even(memory, _MOST_MEMORY_GB):
        raise InvalidError(f"custom_gb_memory must be 1 or an even number to {_MOST_MEMORY_GB}, not {memory}.")
    if not _is_even(disk, _MOST_DISK_GB):
        raise InvalidError(f"custom_disk_size must be an even number from 2 to {_MOST_DISK_GB}, not {disk}.")
    if not 2 * cores <= memory <= 8 * cores:
        raise InvalidError(f"custom_gb_memory must be 2 to 8 times custom_cpu_cores, not {memory} with {cores:g}.")
    return Size(float(cores), memory, disk)


def _is_even(number: float, most: int) -> bool:
    return 2 <= number <= most and number % 2 == 0


class LimitViolation(msgspec.Struct, frozen=True):
    """The reason why a devbox or a build is ended."""

    reason: FailureReason
    sentence: str


def memory_violation(load: Load, limits: Limits, user: str = DEVBOX) -> LimitViolation | None:
    """The violation if `user` uses too much memory."""
    if load.killed_for_memory or load.memory_bytes > limits.memory_bytes:
        return LimitViolation(
            "out_of_memory", f"{user} needed more than its {_gigabytes(limits.memory_bytes)} GB of memory."
        )
    return None


def process_violation(load: Load, limits: Limits, user: str = DEVBOX) -> LimitViolation | None:
    """The violation if `user` has too many processes, as the kernel does not always keep it from starting them."""
    if load.processes > limits.processes:
        return LimitViolation("execution_failed", f"{user} started more than {limits.processes} processes.")
    return None


def disk_violation(used: int, limits: Limits, user: str = DEVBOX, printed: int = 0) -> LimitViolation | None:
    """The violation if the disk of `user` is too large, together with the output of its commands."""
    if used + printed <= limits.disk_bytes:
        return None
    share = f", {printed / GIB:.1f} GB of it by what its commands printed" if printed > limits.disk_bytes // 10 else ""
    return LimitViolation(
        "out_of_disk", f"{user} wrote more than its {_gigabytes(limits.disk_bytes)} GB of disk{share}."
    )


def _gigabytes(size: int) -> str:
    # Sizes are whole, but those of a machine are not.
    return f"{size / GIB:.1f}".removesuffix(".0")


class LimitMonitor:
    """Watches the limits of one started sandbox, as long as something runs in it or is done with it."""

    def __init__(
        self,
        sandbox: Sandbox,
        limits: Limits,
        folder: str,
        on_violation: Callable[[LimitViolation], None],
        *,
        user: str = DEVBOX,
        disk_before: int = 0,
        printed: Callable[[], int] = lambda: 0,
    ) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._user = user
        self._disk = _Disk(sandbox, limits, folder, user, disk_before, printed)
        self._on_violation = on_violation
        self._noticed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._has_ended = False
        self._violation: LimitViolation | None = None

    def notice(self) -> None:
        """Look often from now on, as something happens in the sandbox."""
        # Kept as an event: what happens while the watcher sleeps makes its next interval short.
        self._noticed.set()
        if not self._has_ended and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._look_after())

    def end(self) -> None:
        """Stop watching."""
        self._has_ended = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def memory(self) -> LimitViolation | None:
        """The violation if it has used too much memory, also after its end."""
        try:
            return memory_violation(await self._sandbox.load(), self._limits, self._user)
        except SandboxError:
            return None  # nobody has counted

    async def why_killed(self) -> str | None:
        """The limit that was exceeded, by this monitor's finding or the kernel's; None if none was."""
        violation = self._violation or await self.memory()
        return None if violation is None else violation.sentence

    async def _look_after(self) -> None:
        interval, before = OFTEN_S, None
        while True:
            await asyncio.sleep(interval)
            noticed = self._noticed.is_set()
            self._noticed.clear()
            try:
                load = await self._sandbox.load()
                violation = memory_violation(load, self._limits, self._user)
                violation = (
                    violation or process_violation(load, self._limits, self._user) or await self._disk.violation()
                )
            except SandboxError:
                return  # it has ended, or is too busy to answer: the next use looks again
            except (OSError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and of_machine(error) is None:
                    raise
                continue  # neither files, programs nor threads can be had for now
            if violation is not None:
                self._violation = violation
                self._on_violation(violation)
                return
            # Nothing runs and nobody has come: until the next `notice` nothing can grow.
            if not load.processes and not noticed:
                return
            interval = OFTEN_S if noticed or _differs(load, before) else min(interval * 2, SELDOM_S)
            before = load


def _differs(load: Load, before: Load | None) -> bool:
    """Return True if memory or the number of processes has changed by more than a little."""
    if before is None or load.processes != before.processes:
        return True
    return abs(load.memory_bytes - before.memory_bytes) > before.memory_bytes // 10


class _Disk:
    """Counts the size of a sandbox's disk, whenever it may have grown."""

    def __init__(
        self, sandbox: Sandbox, limits: Limits, folder: str, user: str, before: int, printed: Callable[[], int]
    ) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._folder = folder
        self._user = user
        self._before = before
        self._printed = printed
        self._free_then = _free(folder)
        self._not_before = 0.0
        self._at_latest = asyncio.get_running_loop().time() + _DISK_SECONDS

    async def violation(self) -> LimitViolation | None:
        loop = asyncio.get_running_loop()
        free = _free(self._folder)
        due = self._free_then - free > _DISK_STEP or loop.time() > self._at_latest
        if not due or loop.time() < self._not_before:
            return None
        begin = loop.time()
        used = await self._sandbox.disk_bytes()
        end = loop.time()
        # A disk of a million files takes seconds to count: it is then counted seldom, not all the time.
        self._not_before = end + (end - begin) * _DISK_PAUSE
        self._at_latest = end + _DISK_SECONDS
        # That of before the count: what is written while it is counted starts the next one.
        self._free_then = free
        return disk_violation(self._before + used, self._limits, self._user, self._printed())


def _free(folder: str) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
