"""Devboxes in Linux namespaces: each sees this machine's userland under a private overlay."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from runloop_local.sandbox import capture, disks, egress, link, merge, mounts, rootfs
from runloop_local.sandbox.agent_sandbox import AgentSandbox
from runloop_local.sandbox.backend import SandboxBackend
from runloop_local.sandbox.base import (
    CacheMount,
    Caches,
    DiskMount,
    FileMount,
    ImageLayers,
    IsolationName,
    MemoryMount,
    Mount,
    SandboxError,
    User,
    is_image,
)
from runloop_local.sandbox.captured import CapturedEgress
from runloop_local.sandbox.cgroups import enforced
from runloop_local.sandbox.egress import Egress
from runloop_local.sandbox.image_layers import ImageLayerStore
from runloop_local.sandbox.link import Helper

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from runloop_local.fork_server import ForkServer
    from runloop_local.sandbox.base import EgressPredicate, Limits
    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.link import Reply
    from runloop_local.sandbox.running import Run

DriverName = Literal["idmapped", "root", "unprivileged"]
Network = Literal["none", "host"]

REST_SECONDS = 30.0
"""After that an agent leaves, as most of a sandbox's memory is its own; the next one takes some 10 ms to come."""
_FORMS = (link.TCP, link.TCP, link.UDP, link.NETLINK, link.RAW)
"""The sockets on which the service listens inside: for the proxy, and for what is captured."""
_LAYERS_PER_MERGE = 64
_MAX_LAYERS = 480  # an overlay takes 500, and those of this machine are among them
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOMES = {"user": "/home/user", "root": "/root"}
_LIMITS = {resource.RLIMIT_NOFILE: 65536, resource.RLIMIT_CORE: 0}
_LIMITS_OF_ONE_ACCOUNT = {**_LIMITS, resource.RLIMIT_NOFILE: 4096}
"""Lower, because the kernel limits descriptors in flight by uid, which all devboxes share with the service here."""
_MAX_MOUNT_BYTES = 500_000
"""The limit in bytes of the mounts of a request; the helper process accepts requests of twice the size."""
_KINDS: Mapping[type[Mount], str] = {
    MemoryMount: "tmpfs",
    FileMount: "file",
    CacheMount: "cache",
    DiskMount: "disk",
}
_OVERLAID = ("/usr", "/etc", "/var", "/opt", "/srv", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_NOTES: dict[DriverName, tuple[str, ...]] = {
    "idmapped": (),
    "root": (
        "This machine has no idmapped mounts: root in a devbox is this machine's root with fewer rights, can read "
        "private files of /etc, /var, /opt and /srv that are made while the service runs and all those of /usr, and "
        "shares with all devboxes what the kernel counts by account.",
    ),
    "unprivileged": (
        "All accounts of a devbox are one, as the service has no privileges: "
        "changing owners has no effect, sudo is no boundary, and they share what the kernel counts by account.",
    ),
}


def available_drivers() -> tuple[DriverName, ...]:
    """The drivers that this account may try, best first."""
    return ("idmapped", "root") if os.getuid() == 0 else ("unprivileged",)


class CaptureStatus(msgspec.Struct):
    """Whether programs that use no proxy have a network, as the last sandbox found."""

    problem: str | None = None
    """Why they have none."""


class SharedResources(NamedTuple):
    """The resources that all sandboxes of one isolation share."""

    store: disks.Store
    helper: Helper
    network: Network
    rlimits: Mapping[int, int]
    egress: Egress
    capture: CaptureStatus
    rest_seconds: float
    """The time without anything to do after which the agent of a sandbox leaves."""


class NamespacesIsolation:
    """Creates sandboxes in namespaces, by one of the drivers in `inside`."""

    name: IsolationName = "namespaces"

    def __init__(
        self,
        data_dir: Path,
        driver: DriverName,
        *,
        network: Network = "none",
        egress: Egress | None = None,
        processes: int = 8192,
        notes: tuple[str, ...] = (),
        rest_seconds: float = REST_SECONDS,
        fork_server: ForkServer | None = None,
    ) -> None:
        self.restricts = network == "none"
        self.weaknesses = (*notes, *_NOTES[driver])
        self.notes = (*self.weaknesses, *_network_notes(network, None))
        self._store = disks.Store(data_dir, driver)
        self._driver = driver
        self._helper = Helper(driver, self._store.folder, fork_server)
        self.caches: Caches | None = disks.Caches(self._store, self._helper)
        self.limits: Mapping[str, str] = enforced(self._helper.groups, _process_limit(driver, processes))
        limits = _LIMITS_OF_ONE_ACCOUNT if driver == "unprivileged" else _LIMITS
        rlimits = {**limits, resource.RLIMIT_NPROC: processes}
        self.image_layers: ImageLayers | None = ImageLayerStore(self._store, self._helper)
        self._shared = SharedResources(
            self._store, self._helper, network, rlimits, egress or Egress(), CaptureStatus(), rest_seconds
        )
        self._making: dict[str, asyncio.Task[None]] = {}
        self._layers = [rootfs.BASE]

    async def create(self, sandbox_id: str, *, layers: tuple[str, ...] = ()) -> AgentSandbox:
        """Create a sandbox without starting it; one with this id that is still on disk is reused."""
        check_folder(self._store.folder)
        self._store.check_kind(sandbox_id)
        folder = self._store.sandbox(sandbox_id)
        if not folder.exists():
            # All of them before the folder is made: a disk on a missing layer could be started never, and removed only
            # by hand.
            for layer in layers:
                self._store.existing_layer(layer)
            (folder / "m").mkdir(parents=True)
            save_layers(folder, layers)
        # Before the sandbox is used: a service that was killed in the middle may have left two answers about its
        # layers.
        finish_freeze(folder, self._store)
        machines = () if is_image(referenced_layers(folder)) else self._layers
        preparing = tuple(self._make(layer) for layer in machines)
        return AgentSandbox(sandbox_id, self._helper, NamespacesBackend(sandbox_id, self._shared, preparing))

    def prepare(self) -> None:
        """Say what the first sandbox has found, and start building the skeleton layer in the background.

        Only one driver needs that layer, and it may exist already.
        """
        self.notes = (*self.weaknesses, *_network_notes(self._shared.network, self._shared.capture.problem))
        if self._driver == "unprivileged" and not (self._store.layers / rootfs.SKELETON).exists():
            self._layers.append(rootfs.SKELETON)
            self._make(rootfs.SKELETON)

    def _make(self, layer: str) -> asyncio.Task[None]:
        """The task that builds a base layer: the one under way or done, a new one if that failed."""
        task = self._making.get(layer)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._making[layer] = asyncio.create_task(self._helper.tool(layer))
        return task

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
        """The layers on disk that images brought, and `SCRATCH`."""
        return self._store.lowest_layers()

    def used_layers(self) -> frozenset[str]:
        """The layers that the disks of sandboxes are built on."""
        folders = [self._store.sandbox(name) for name in self._store.sandboxes()]
        return frozenset(layer for folder in folders for layer in referenced_layers(folder))

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        return self._store.sandboxes()

    async def aclose(self) -> None:
        """End all sandboxes' processes and helpers; disks stay."""
        await self._helper.aclose()
        await asyncio.gather(*self._making.values(), return_exceptions=True)


class NamespacesBackend(SandboxBackend):
    """The parts of a sandbox with its own PID 1 and root file system."""

    has_terminals = True
    own_processes = 1  # PID 1

    def __init__(self, sandbox_id: str, shared: SharedResources, preparing: tuple[asyncio.Task[None], ...]) -> None:
        self._id = sandbox_id
        self._shared = shared
        self._helper = shared.helper
        self._store = shared.store
        self._folder = shared.store.sandbox(sandbox_id)
        self._preparing = preparing
        self._mounts: list[Message] = []
        self._created_mount_points: list[str] = []
        self._listening: list[socket.socket] = []

    async def prepare(self, limits: Limits | None) -> Message:
        """Wait for the base layers, and describe the disk, its mounts and the network."""
        for task in self._preparing:
            # Shared by all sandboxes: one start that is cancelled must not cancel the layer that the others wait for.
            await asyncio.shield(task)
        if not self._folder.is_dir():
            raise SandboxError(f"The disk of sandbox {self._id} is gone.")
        return {
            "folder": str(self._store.folder),
            "sandbox": self._id,
            "hostname": self._id[:63],
            "layers": load_layers(self._folder),
            "network": self._shared.network,
            "proxy_port": egress.PORT,
            "rest_seconds": self._shared.rest_seconds,
            "rlimits": self._shared.rlimits,
            "mounts": self._mounts,
        }

    def mount(self, wanted: Sequence[Mount]) -> None:
        """Set its mounts from its next start on; raises SandboxError if they are too large together."""
        found = [_message(mount) for mount in wanted]
        if len(json.dumps(found)) > _MAX_MOUNT_BYTES:
            raise SandboxError("That is too much to be mounted at once: mount less, or smaller files.")
        self._mounts = found

    def read_greeting(self, greeting: Reply) -> None:
        """Note the mount points that were created, and take over the sockets on which the service listens inside."""
        self._created_mount_points = greeting.strings("made")
        problem = greeting.strings("uncaptured")
        self._shared.capture.problem = problem[0][:200] if problem else None
        # For the proxy alone where nothing is captured; the last two only where this kernel can hold connections.
        count = 1 if problem else max(3, len(greeting.descriptors))
        forms = _FORMS[: 0 if self._shared.network == "host" else count]
        self._listening = link.take_sockets(greeting, *forms)

    async def disk_bytes(self) -> int:
        """The size of its own disk and its mounts, without layers."""
        caches = [self._store.folder / mount["folder"] for mount in self._mounts if mount["kind"] == "cache"]
        folders = [self._folder / "upper", *caches, *(folder / "upper" for folder in self._disk_mount_folders())]
        return sum([await disks.used_bytes(folder) for folder in folders if folder.exists()])

    def _disk_mount_folders(self) -> list[Path]:
        return [folder for folder in self._folder.glob("b*") if folder.is_dir()]

    async def clean_up_mounts(self) -> None:
        """Delete the mount points that were created, and the disks of mounts."""
        made, self._created_mount_points = self._created_mount_points, []
        await asyncio.to_thread(mounts.remove_mount_points, self._folder / "upper", made)
        for folder in self._disk_mount_folders():
            await self._store.remove(self._helper, folder)

    async def complete_start(self, run: Run, is_allowed: EgressPredicate | None) -> None:
        """Serve the egress proxy of the run, and close it when the run ends."""
        if not self._listening:
            return
        # With the run, not with the sandbox: the sockets belong to the network namespace that ends with it.
        requests, *others = self._listening
        proxy = await self._shared.egress.serve(requests, is_allowed)
        run.ending.add_done_callback(proxy.close)
        if others:
            connections, names, *holding = others
            captured = CapturedEgress(self._shared.egress, is_allowed, proxy.usage)
            await captured.serve(connections, names, holding)
            run.ending.add_done_callback(captured.close)

    def require_open(self, port: int) -> None:
        """Refuse the egress proxy's port: a tunnel to that would open the network to anyone."""
        if port in (egress.PORT, *capture.PORTS) and self._shared.network != "host":
            raise SandboxError(f"Port {port} is the devbox's own way out, and closed to tunnels.")

    async def copy_disk(self, layer: str) -> tuple[str, ...]:
        """Copy the upper folder as a layer."""
        await self._store.copy(self._helper, self._folder / "upper", self._store.new_layer(layer))
        return await self._merge_layers((layer, *load_layers(self._folder)))

    async def freeze_disk(self, layer: str) -> tuple[str, ...]:
        """Rename the upper folder to a new layer; the next start begins an empty one.

        `freeze.json` is written before the rename, so that after a crash in between `finish_freeze` can tell whether
        the layer belongs to the sandbox.
        """
        layers = (layer, *load_layers(self._folder))
        if len(layers) > _MAX_LAYERS:
            raise SandboxError(f"The disk stands on {len(layers)} layers already: start from a smaller snapshot.")
        (self._folder / "upper").mkdir(exist_ok=True)
        target = self._store.new_layer(layer)
        save_layers(self._folder, layers, "freeze.json")
        (self._folder / "upper").rename(target)
        finish_freeze(self._folder, self._store)
        if (self._folder / "work").exists():  # an ending run may still have it
            (self._folder / "work").rename(self._folder / f"work.{layer}")
        merged = await self._merge_layers(layers)
        save_layers(self._folder, merged)
        return merged

    async def _merge_layers(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """Merge the layers below the top whenever their number reaches a multiple of 64: a mount takes only so many."""
        own, below = _split(layers)
        if not own or len(own) % _LAYERS_PER_MERGE:
            return layers
        top, *rest = own
        program = (sys.executable, "-IS", str(Path(merge.__file__)))
        try:
            await self._helper.tool(*program, str(self._store.layers), top, *rest, "--", *(below or rootfs.MACHINE))
        except SandboxError:  # a full disk, for example; a later snapshot tries again
            return layers
        merged = (f"{top}.{number}" for number in range(len(rest)))
        return (top, *(name for name in merged if self._store.layer(name).is_dir()), *below)

    async def remove_work_folders(self) -> None:
        """Delete the work folders of frozen upper folders."""
        for work in self._folder.glob("work.*"):
            await self._store.remove(self._helper, work)

    async def remove_disk(self) -> None:
        """Delete the sandbox's folder."""
        if self._folder.exists():
            await self._store.remove(self._helper, self._folder)

    def environment(self, user: User) -> dict[str, str]:
        """The default environment of this user's programs, with the egress proxy."""
        home = _HOMES[user]
        return {
            "HOME": home,
            "USER": user,
            "LOGNAME": user,
            "PATH": f"{home}/.local/bin:{_PATH}",
            "LANG": "C.UTF-8",
            **({} if self._shared.network == "host" else egress.ENVIRONMENT),
        }

    def path(self, path: str) -> str:
        """The same path, as processes inside have their own root."""
        return path


def _split(layers: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers of snapshots, and those of an image below them, which are shared with others and never merged."""
    number = sum(not is_image((layer,)) for layer in layers)
    return layers[:number], layers[number:]


def _message(mount: Mount) -> Message:
    """A mount as a message to the agent."""
    found: Message = {"kind": _KINDS[type(mount)], "target": mount.target, "read_only": mount.read_only}
    match mount:
        case MemoryMount():
            return {**found, "size": mount.size}
        case FileMount():
            return {**found, "content": mount.content, **mount.ownership._asdict()}
        case CacheMount():
            return {**found, "folder": disks.Caches.content(mount.name), **mount.ownership._asdict()}
        case DiskMount():
            return {**found, "layers": mount.layers, "source": mount.source}


def check_folder(folder: Path) -> None:
    """Raise SandboxError if the data folder lies where sandboxes would see it."""
    for top in _OVERLAID:
        if folder.is_relative_to(top):
            raise SandboxError(
                f"The data folder {folder} lies inside {top}, which devboxes see: choose another with --data-dir."
            )


def save_layers(folder: Path, layers: tuple[str, ...], name: str = "layers.json") -> None:
    """Store the layers of a sandbox's disk, top first."""
    unfinished = folder / f"{name}.new"
    unfinished.write_text(json.dumps(layers))
    # Whole or not at all: half a list of layers would be another disk.
    unfinished.rename(folder / name)


def load_layers(folder: Path) -> tuple[str, ...]:
    """The layers of a sandbox's disk, top first."""
    return tuple(json.loads((folder / "layers.json").read_text()))


def referenced_layers(folder: Path) -> tuple[str, ...]:
    """All layers that a sandbox may use, including those of an unfinished freeze; none if it is being removed."""
    found: list[str] = []
    for name in ("freeze.json", "layers.json"):  # in this order: the first becomes the second
        with suppress(FileNotFoundError):
            found += json.loads((folder / name).read_text())
    return tuple(found)


def finish_freeze(folder: Path, store: disks.Store) -> None:
    """Complete a freeze that the end of the service interrupted, or discard it if its layer does not exist."""
    noted = folder / "freeze.json"
    if not noted.exists():
        return
    if store.layer(json.loads(noted.read_text())[0]).exists():
        noted.rename(folder / "layers.json")
    else:
        noted.unlink()


def _process_limit(driver: DriverName, processes: int) -> str:
    if driver == "root":  # no user namespace, so the kernel counts by this machine's accounts
        return f"{processes} for the user of all devboxes together, none for their root, by rlimit"
    return f"{processes} for each account of a devbox, by rlimit"


def _network_notes(network: Network, problem: str | None) -> tuple[str, ...]:
    if network == "host":
        return ("Devboxes share this machine's network.",)
    if problem is None:
        return ("Devboxes have their own network; they reach others by TCP over IPv4.",)
    return (
        "Devboxes have their own network; they reach others through the proxy in http_proxy and https_proxy only, as "
        f"{problem}. Programs that use no proxy (psql, git over ssh) have no network.",
    )
