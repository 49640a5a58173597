"""Enforces the limits of sandboxes by control groups, version 1 or 2, where this account may create them.

The service has one group, below its own process's (version 1) or beside it (version 2, where a group with processes
cannot have child groups). Each sandbox has a group in that.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runloop_local.sandbox import host_mounts
from runloop_local.sandbox.base import Limits, Load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONTROLLERS = ("memory", "pids", "cpu")
_PERIOD_US = 100_000
_SHARES = 1024
_WEIGHT = 100
_PREFIX = "runloop-local-"
_PROBE = "probe"
_SMALL_BYTES = 4096
_PASSES = 10  # after which processes that still fork are taken for a fork bomb
Settings = list[tuple[str, str]]


def settings(limits: Limits, version: int) -> dict[str, Settings]:
    """The values to write into a group's files, by controller. A `?` marks files that a kernel may lack."""
    # Swap adds nothing to the limit: version 1 limits both together, version 2 forbids swap.
    memory, quota = str(limits.memory_bytes), int(limits.cpus * _PERIOD_US)
    if version == 1:
        return {
            "memory": [("memory.limit_in_bytes", memory), ("?memory.memsw.limit_in_bytes", memory)],
            "pids": [("pids.max", str(limits.processes))],
            "cpu": [
                ("cpu.shares", str(max(2, int(limits.cpus * _SHARES)))),
                ("?cpu.cfs_period_us", str(_PERIOD_US)),
                ("?cpu.cfs_quota_us", str(quota)),
            ],
        }
    return {
        "memory": [("memory.max", memory), ("?memory.swap.max", "0")],
        "pids": [("pids.max", str(limits.processes))],
        "cpu": [("cpu.weight", str(max(1, int(limits.cpus * _WEIGHT)))), ("cpu.max", f"{quota} {_PERIOD_US}")],
    }


class Mount(NamedTuple):
    """One mount of a cgroup hierarchy."""

    root: str
    folder: str
    version: int
    controllers: frozenset[str]


def mounts(mountinfo: bytes) -> Iterator[Mount]:
    """The cgroup hierarchies in a mount table."""
    for each in host_mounts.parsed(mountinfo):
        if each.kind in ("cgroup", "cgroup2"):
            version = 1 if each.kind == "cgroup" else 2
            yield Mount(each.root, each.folder, version, frozenset(each.options.split(",")))


def own_paths(cgroup: str) -> dict[str, str]:
    """Parse /proc/self/cgroup: this process's path in each hierarchy, by controller ("" for version 2)."""
    lines = (line.split(":", 2) for line in cgroup.splitlines())
    return {controller: path for _, names, path in lines for controller in names.split(",")}


def own_folder(mount: Mount, path: str) -> Path:
    """The folder of this process's group in a hierarchy."""
    return Path(mount.folder, os.path.relpath(path, mount.root)) if path.startswith(mount.root) else Path(mount.folder)


def service_folders(mountinfo: bytes, cgroup: str) -> tuple[int, dict[str, Path]]:
    """The version in use, and the folder in which a service can create its group, by controller."""
    paths = own_paths(cgroup)
    found = {
        controller: own_folder(mount, paths[controller])
        for mount in mounts(mountinfo)
        for controller in CONTROLLERS
        if mount.version == 1 and controller in mount.controllers and controller in paths
    }
    if found:
        return 1, found
    for mount in mounts(mountinfo):
        if mount.version == 2 and "" in paths:
            own = own_folder(mount, paths[""])
            return 2, dict.fromkeys(CONTROLLERS, own if own == Path(mount.folder) else own.parent)
    return 2, {}


class ControlGroups:
    """The control groups of one service's sandboxes, for the controllers that are available."""

    def __init__(self, version: int, folders: Mapping[str, Path]) -> None:
        self._version = version
        self._folders = folders

    @classmethod
    def open(cls, owner: str) -> ControlGroups:
        """Create the group of the service identified by `owner`, with the controllers that work here, if any."""
        try:
            mountinfo, cgroup = host_mounts.table(), os.fsdecode(Path("/proc/self/cgroup").read_bytes())
        except OSError:
            return cls(1, {})
        version, below = service_folders(mountinfo, cgroup)
        _remove_abandoned(below.values())
        name = f"{_PREFIX}{os.getpid()}-{hashlib.sha256(owner.encode()).hexdigest()[:12]}"
        groups = cls(version, {controller: folder / name for controller, folder in below.items()})
        return cls(
            version, {controller: groups._folders[controller] for controller in below if groups._try(controller)}
        )

    def has(self, controller: str) -> bool:
        """True if this controller limits the sandboxes."""
        return controller in self._folders

    def make(self, sandbox_id: str, limits: Limits) -> list[str]:
        """Create or change a sandbox's group; returns the files by which processes join it. Raises `OSError`."""
        wanted = settings(limits, self._version)
        for controller, folder in self._folders.items():
            (folder / sandbox_id).mkdir(parents=True, exist_ok=True)
            _apply(folder / sandbox_id, wanted[controller])
        # A thread that enters by itself does not wait for all processors, as a process does: some 12 ms.
        name = "tasks" if self._version == 1 else "cgroup.procs"
        return sorted({str(folder / sandbox_id / name) for folder in self._folders.values()})

    def load(self, sandbox_id: str) -> Load | None:
        """The current resource use of a sandbox; None if its group does not count both memory and processes."""
        if not (self.has("memory") and self.has("pids")):
            return None
        memory, pids = f"{self._folders['memory']}/{sandbox_id}", f"{self._folders['pids']}/{sandbox_id}"
        usage, events = (
            ("memory.usage_in_bytes", "memory.oom_control")
            if self._version == 1
            else ("memory.current", "memory.events")
        )
        try:
            counted = dict(line.split(" ") for line in _read(f"{memory}/{events}").splitlines())
            return Load(
                memory_bytes=int(_read(f"{memory}/{usage}")),
                processes=int(_read(f"{pids}/pids.current")),
                killed_for_memory=int(counted.get("oom_kill", 0)) > 0,
            )
        except FileNotFoundError:
            return None

    def end(self, sandbox_id: str) -> None:
        """Kill all processes of a sandbox, without its CPU limit, as thousands of processes need CPU time to exit."""
        self._set(sandbox_id, "cpu", *(("cpu.cfs_quota_us", "-1") if self._version == 1 else ("cpu.max", "max")))
        if self.has("pids"):
            members = self._folders["pids"] / sandbox_id / "cgroup.procs"
            if not _kill(members):
                # Only now, as a shell that cannot fork prints an error into the output of its command.
                self._set(sandbox_id, "pids", "pids.max", "0")
                _kill(members)

    def remove(self, sandbox_id: str) -> None:
        """Remove the group of a sandbox whose processes have ended."""
        for folder in {*self._folders.values()}:
            with suppress(OSError):  # gone already, or not empty: the next service tries again
                (folder / sandbox_id).rmdir()

    def close(self) -> None:
        """Remove the service's group with all that are left in it."""
        for folder in {*self._folders.values()}:
            _remove(folder)

    def _set(self, sandbox_id: str, controller: str, name: str, value: str) -> None:
        if self.has(controller):
            with suppress(OSError):  # it never had limits
                _write(self._folders[controller] / sandbox_id / name, value)

    def _try(self, controller: str) -> bool:
        """Try to create the service's group and a child: mounts may be read-only, controllers not delegated."""
        folder = self._folders[controller]
        try:
            folder.mkdir(exist_ok=True)
            if self._version == 2:
                with suppress(OSError):  # usually delegated already
                    (folder.parent / "cgroup.subtree_control").write_text(f"+{controller}")
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
            _sweep(folder)
            (folder / _PROBE).mkdir()
            _apply(folder / _PROBE, settings(Limits(1 << 30, 1.0, 1 << 30, 100), self._version)[controller])
            (folder / _PROBE).rmdir()
        except OSError:
            return False
        return True


def _remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove the groups of services that were killed. Those of a live one are kept: a sandbox may be about to join."""
    for folder in folders:
        with suppress(OSError):  # unreadable hierarchies are not used either
            for service in folder.glob(f"{_PREFIX}*"):
                pid = service.name.removeprefix(_PREFIX).partition("-")[0]
                if not Path("/proc", pid).exists():
                    _remove(service)


def _remove(service: Path) -> None:
    with suppress(OSError):  # in use, or another service has removed it
        _sweep(service)
        service.rmdir()


def _apply(group: Path, wanted: Settings) -> None:
    for name, value in wanted:
        file = group / name.removeprefix("?")
        if file.exists() or not name.startswith("?"):
            _write(file, value)


def _read(file: str) -> str:
    """The content of a small file. Three are read of each devbox in use, up to four times a second."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _SMALL_BYTES).decode()
    finally:
        os.close(descriptor)


def _write(file: Path, value: str) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def _kill(members: Path) -> bool:
    """Kill the members of a group, including those forked meanwhile; False if they keep forking."""
    killed: set[str] = set()
    for _ in range(_PASSES):
        try:
            found = [pid for pid in members.read_text().split() if pid not in killed]
        except FileNotFoundError:
            return True
        if not found:
            return True
        for pid in found:  # oldest first, so that no parent sees its child die
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        killed.update(found)
    return False


def _sweep(folder: Path) -> None:
    for group in folder.iterdir():
        if group.is_dir():
            with suppress(OSError):
                group.rmdir()


def enforced(groups: ControlGroups, processes: str = "") -> dict[str, str]:
    """Describe the enforcement of each limit; `processes` is used if there is no control group for that."""
    monitored = "checked while a devbox is in use" if sys.platform == "linux" else "not limited"
    return {
        "memory": "by control group" if groups.has("memory") else monitored,
        "processes": "by control group" if groups.has("pids") else processes or monitored,
        "disk": "checked while a devbox is in use; df shows this machine's disk",
        "cpu": "by control group" if groups.has("cpu") else "lower priority than other programs",
    }
