"""Devboxes as plain processes with a folder each, for machines without namespaces."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runloop_local.sandbox import disks, processes, seatbelt
from runloop_local.sandbox.agent_sandbox import AgentSandbox
from runloop_local.sandbox.backend import SandboxBackend
from runloop_local.sandbox.base import Caches, ImageLayers, IsolationName, Mount, SandboxError, User
from runloop_local.sandbox.cgroups import enforced
from runloop_local.sandbox.link import Helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runloop_local.fork_server import ForkServer
    from runloop_local.sandbox.base import Limits
    from runloop_local.sandbox.frames import Message

Confinement = Literal["landlock", "seatbelt", "none"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOME = "/home/user"
_LIMITS = {resource.RLIMIT_NOFILE: 65536, resource.RLIMIT_CORE: 0}
_AGENT = 1
_PROCESSES_OF_OTHERS = 1024
"""Added to the limit, as the kernel counts all processes of the account, not the devbox's alone."""


class ProcessIsolation:
    """Creates sandboxes of plain processes, confined by Landlock, by Seatbelt, or not at all."""

    def __init__(
        self,
        data_dir: Path,
        confinement: Confinement,
        *,
        notes: tuple[str, ...] = (),
        fork_server: ForkServer | None = None,
    ) -> None:
        self.name: IsolationName = confinement
        self.caches: Caches | None = None
        self.image_layers: ImageLayers | None = None
        self.restricts = False
        self.notes = self.weaknesses = (*notes, *_notes(confinement))
        self._confinement = confinement
        self._store = disks.Store(data_dir, disks.PROCESS)
        self._helper = Helper(disks.PROCESS, self._store.folder, fork_server)
        self.limits: Mapping[str, str] = enforced(self._helper.groups)

    async def create(self, sandbox_id: str, *, layers: tuple[str, ...] = ()) -> AgentSandbox:
        """Create a sandbox without starting it; one with this id that is still on disk is reused."""
        self._store.check_kind(sandbox_id)
        folder = self._store.sandbox(sandbox_id)
        if not folder.exists():
            await self._make(folder, [self._store.existing_layer(layer) for layer in layers[:1]])
        backend = ProcessBackend(sandbox_id, self._store, self._helper, self._confinement)
        return AgentSandbox(sandbox_id, self._helper, backend)

    async def _make(self, folder: Path, layers: list[Path]) -> None:
        # Renamed into place once complete, so that a crash never leaves half a copy that looks like a disk.
        unfinished = folder.with_name(f"{folder.name}.new")
        if unfinished.exists():
            await self._store.remove(self._helper, unfinished)
        unfinished.mkdir(parents=True, mode=0o700)
        for layer in layers:
            await self._store.copy(self._helper, layer, unfinished / "disk")
        for name in ("home", "tmp"):
            (unfinished / "disk" / name).mkdir(parents=True, exist_ok=True)
        unfinished.rename(folder)

    async def remove_layer(self, layer: str) -> None:
        """Delete a snapshot's layer that no sandbox uses."""
        await self._store.remove(self._helper, self._store.existing_layer(layer))

    async def layer_bytes(self, layer: str) -> int:
        """The size of a layer on disk. The time grows with the number of files."""
        return await disks.used_bytes(self._store.layer(layer))

    def layers(self) -> frozenset[str]:
        """The layers on disk that snapshots made, unfinished ones included."""
        return self._store.snapshot_layers()

    def lowest_layers(self) -> frozenset[str]:
        """None: plain processes have this machine's root."""
        return frozenset()

    def used_layers(self) -> frozenset[str]:
        """No layers: the disk of each sandbox is a full copy."""
        return frozenset()

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        return self._store.sandboxes()

    async def aclose(self) -> None:
        """End all sandboxes' processes and helpers; disks stay."""
        await self._helper.aclose()


class ProcessBackend(SandboxBackend):
    """The parts of a sandbox of plain processes; /home/user of the file API is a folder of its own."""

    has_terminals = False
    own_processes = 0  # its agent is the first

    def __init__(self, sandbox_id: str, store: disks.Store, helper: Helper, confinement: Confinement) -> None:
        self._id = sandbox_id
        self._helper = helper
        self._store = store
        self._folder = store.sandbox(sandbox_id)
        self._disk = self._folder / "disk"
        self._confinement = confinement

    async def prepare(self, limits: Limits | None) -> Message:
        """Describe the disk and the limits."""
        if not self._disk.is_dir():
            raise SandboxError(f"The disk of sandbox {self._id} is gone.")
        return {
            "disk": str(self._disk),
            "landlock": self._confinement == "landlock",
            "rlimits": {**_LIMITS, **self._process_limit(limits)},
        }

    def _process_limit(self, limits: Limits | None) -> dict[int, int]:
        """RLIMIT_NPROC for its commands. The kernel counts by uid, shared or not, and does not limit root."""
        if limits is None or self._helper.groups.has("pids") or sys.platform != "linux":
            return {}
        if os.getuid() == 0:
            own_account = self._confinement == "landlock"
            return {resource.RLIMIT_NPROC: limits.processes + _AGENT} if own_account else {}
        return {resource.RLIMIT_NPROC: processes.count_of_account() + limits.processes + _PROCESSES_OF_OTHERS}

    async def copy_disk(self, layer: str) -> tuple[str, ...]:
        """Copy the disk as a layer."""
        await self._store.copy(self._helper, self._disk, self._store.new_layer(layer))
        return (layer,)

    freeze_disk = copy_disk

    async def disk_bytes(self) -> int:
        """The size of the disk."""
        return await disks.used_bytes(self._disk)

    def mount(self, wanted: Sequence[Mount]) -> None:
        """Raise SandboxError for any mount: a plain process sees the folders of this machine."""
        if wanted:
            raise SandboxError("Devboxes are plain processes here, and nothing can be mounted for them.")

    async def remove_disk(self) -> None:
        """Delete the sandbox's folder."""
        if self._folder.exists():
            await self._store.remove(self._helper, self._folder)

    def environment(self, user: User) -> dict[str, str]:
        """The default environment of this user's programs."""
        home = str(self._disk / "home")
        brew = "/opt/homebrew/bin:" if sys.platform == "darwin" else ""
        return {
            "HOME": home,
            "TMPDIR": str(self._disk / "tmp"),
            "USER": user,
            "LOGNAME": user,
            "PATH": f"{home}/.local/bin:{brew}{_PATH}",
            "LANG": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
            "SHELL": shutil.which("bash", path=_PATH) or "/bin/sh",
        }

    def argv(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The arguments of `sandbox-exec` where Seatbelt confines programs; elsewhere as they are."""
        if self._confinement != "seatbelt":
            return argv
        return seatbelt.confined(argv, str(self._disk), str(self._store.folder))

    def path(self, path: str) -> str:
        """Translate a path of the file API: /home/user is the sandbox's own home folder."""
        if path == _HOME or path.startswith(f"{_HOME}/"):
            return f"{self._disk}/home{path[len(_HOME) :]}"
        return path


def _notes(confinement: Confinement) -> tuple[str, ...]:
    return (
        *(_behind_landlock() if confinement == "landlock" else _WEAKNESSES[confinement]),
        "There is no root: sudo does not work, and /home/user is a folder that only the file calls translate.",
        *(() if sys.platform == "linux" else _ELSEWHERE),
    )


_ELSEWHERE = (
    "A program that leaves its process group outlives its devbox.",
    "With Docker Desktop, OrbStack, colima or Podman on this machine, devboxes are isolated, and Linux: install one.",
)
_WEAKNESSES: Mapping[Confinement, tuple[str, ...]] = {
    "none": (
        "Devboxes are plain processes of your own account that share its network. Nothing keeps them from your files.",
    ),
    "seatbelt": (
        "Devboxes are plain processes of your own account that share its network. Seatbelt keeps them from writing "
        "outside their folder, and from reading your files.",
        "That is against mistakes: a hostile program can have others act for it, which run without that (open, "
        "osascript, launchctl, the sockets of an engine).",
    ),
}


def _behind_landlock() -> tuple[str, ...]:
    """The limits of Landlock: it protects the contents of files, and what else is open depends on the uid."""
    if os.getuid() == 0:
        return (
            "Devboxes are plain processes, each of an account of its own, that share this machine's network. Files "
            "outside their folder are closed to them by Landlock.",
            "What any account of this machine may do is open to them: its ports, the names of its processes, and unix "
            "sockets that everybody may use, but for those in /run and /tmp.",
        )
    return (
        "Devboxes are plain processes of your own account that share its network. Files outside their folder are "
        "closed to them by Landlock.",
        "Landlock does not close all: they can change modes and times of your other files, and reach the unix sockets "
        "of your account (D-Bus, ssh-agent, Docker), by which a hostile program gets out.",
    )
