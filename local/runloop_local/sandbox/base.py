"""The interface that the engine uses to isolate devboxes; `namespaces.py` and `process.py` implement it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

IsolationName = Literal["namespaces", "landlock", "seatbelt", "none"]
User = Literal["user", "root"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
EgressPredicate = Callable[[str, int, Address | None], bool]
"""True if a host may be reached on a port at this address; with no address, if it may be reached at any."""

NO_ROOM = "No space left on device"


class SandboxError(Exception):
    """A sandbox could not do what was asked; the text is one sentence for a person."""


class SandboxEnded(SandboxError):  # noqa: N818 - named for the event
    """The sandbox is gone (stopped, or ended on its own), so nothing can be asked of it."""


class SandboxFull(SandboxError):  # noqa: N818 - named for the event
    """The request failed because the disk is full."""


class LayerRefused(SandboxError):  # noqa: N818 - named for the event
    """A layer of an image is wrong or hostile; the text completes a sentence about it: `has ...`."""


def failure(sentence: str, stderr: str) -> SandboxError:
    """The error for a helper program that failed with this on its stderr."""
    # Helpers run without a locale, so strerror's text is always the English one.
    return (SandboxFull if NO_ROOM in stderr else SandboxError)(sentence)


class Command(NamedTuple):
    """One program to start inside a sandbox."""

    argv: tuple[str, ...]
    user: User | str = "user"
    """Any account of the disk, by name or number, optionally with `:group`."""
    cwd: str | None = None
    """Absolute path inside the sandbox; the user's home by default."""
    env: Mapping[str, str] = MappingProxyType({})
    """Added to the sandbox's own clean environment."""
    is_tool: bool = False
    """True if `argv` names a program of `tools`, which runs whatever the disk has."""


class Ownership(NamedTuple):
    """Owner, group and mode of a file, by the sandbox's own user ids."""

    uid: int = 0
    gid: int = 0
    mode: int = 0o755


class MemoryMount(NamedTuple):
    """A folder in memory."""

    target: str
    size: int | None = None
    """In bytes; half of this machine's memory by default."""
    read_only: bool = False


class FileMount(NamedTuple):
    """A file in memory that is never written to a disk, for secrets."""

    target: str
    content: str
    ownership: Ownership = Ownership(mode=0o400)
    read_only: bool = True

    def __repr__(self) -> str:
        """Without the content, which may be a secret."""
        return f"FileMount(target={self.target!r}, ownership={self.ownership!r}, read_only={self.read_only!r})"


class CacheMount(NamedTuple):
    """A folder that outlives the sandboxes that mount it."""

    target: str
    name: str
    ownership: Ownership = Ownership()
    """Applied when the folder is created."""
    read_only: bool = False


class DiskMount(NamedTuple):
    """A folder or file of another disk; what is written to it is discarded when the run ends."""

    target: str
    layers: tuple[str, ...]
    source: str
    read_only: bool = True


Mount = MemoryMount | FileMount | CacheMount | DiskMount


class Limits(NamedTuple):
    """The resources that a sandbox may use."""

    memory_bytes: int
    cpus: float
    disk_bytes: int
    processes: int


class Load(NamedTuple):
    """The resources that a sandbox is using."""

    memory_bytes: int
    processes: int
    """Processes of its commands, without the sandbox's own."""
    killed_for_memory: bool = False
    """True if the kernel's OOM killer has ended one of them."""


class Process(Protocol):
    """A program that runs in a sandbox."""

    async def wait(self) -> int:
        """Its exit status, 0 to 255; 128 + N when signal N ended it."""
        ...

    async def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group. A process that has ended is left alone."""
        ...


class Sandbox(Protocol):
    """One devbox's processes and disk."""

    id: str

    async def start(self) -> None:
        """Start the sandbox. It can be started again after `stop`, with its disk as it was."""
        ...

    async def spawn(self, command: Command, *, stdin: int, stdout: int, stderr: int) -> Process:
        """Start a program on three descriptors. The caller keeps its own copies and closes them.

        If the program cannot be started (no such program, no such directory), the reason is written to `stderr`
        and the exit status is 127 or 126, as in a shell.
        """
        ...

    async def spawn_on_terminal(self, command: Command, *, rows: int, cols: int) -> tuple[Process, int]:
        """Start a program on a new pseudo-terminal; returns the process and a non-blocking descriptor of the master.

        The caller owns the descriptor; when it is closed, the foreground process group gets SIGHUP.
        """
        ...

    async def dial(self, port: int) -> socket.socket:
        """Connect to `port` on the sandbox's localhost, by IPv4 or IPv6; returns a non-blocking TCP socket."""
        ...

    def path(self, path: str) -> str:
        """Translate a path of the file API to the one that processes inside use (they differ in process mode only)."""
        ...

    def limit(self, limits: Limits) -> None:
        """Set its resource limits from its next start on, as far as this machine can enforce them."""
        ...

    def mount(self, wanted: Sequence[Mount]) -> None:
        """Set its mounts from its next start on, in this order; raises SandboxError where they are not supported.

        Mount points that are created for them are not part of the disk, unless something is put into them.
        """
        ...

    def restrict(self, is_allowed: EgressPredicate | None) -> None:
        """Restrict its outgoing connections from its next start on; no effect where the isolation cannot."""
        ...

    async def load(self) -> Load:
        """Its current use of memory and processes."""
        ...

    async def disk_bytes(self) -> int:
        """The size of its own disk and its mounts, without layers. The time grows with the number of files."""
        ...

    async def ended(self) -> None:
        """Wait until the sandbox has ended without having been asked to; raises what kept it from going on."""
        ...

    async def snapshot(self, layer: str) -> tuple[str, ...]:
        """Freeze the disk as the new layer `layer`; returns the layers to create a sandbox from, top first."""
        ...

    async def stop(self) -> None:
        """End every process; keep the disk."""
        ...

    async def destroy(self) -> None:
        """End every process and remove the disk."""
        ...


class Caches(Protocol):
    """Named folders that outlive the sandboxes that mount them."""

    def used(self) -> Mapping[str, int]:
        """The time of last use, in ms, of each folder on disk."""
        ...

    def touch(self, name: str) -> None:
        """Mark a folder as used now, creating it if it does not exist."""
        ...

    def is_new(self, name: str) -> bool:
        """True if no sandbox has mounted the folder yet."""
        ...

    async def bytes_of(self, name: str) -> int:
        """The size of a folder on disk. The time grows with the number of files."""
        ...

    async def remove(self, name: str) -> None:
        """Delete a folder that no sandbox has mounted."""
        ...


IMAGE_LAYER = "img-"
"""How names of layers begin that images brought. Each holds only the folder `@`, the whole root."""


SCRATCH = "scratch"
"""The empty layer at the bottom of disks that have neither an image nor this machine's userland."""


def is_image(layers: Sequence[str]) -> bool:
    """True if a disk of these layers, top first, stands on an image, or on nothing, not on this machine's userland."""
    return bool(layers) and (layers[-1].startswith(IMAGE_LAYER) or layers[-1] == SCRATCH)


class Unpacked(NamedTuple):
    """A layer of an image that is unpacked, but not kept yet."""

    folder: str
    bytes: int
    """Of its files."""
    members: int
    implied: tuple[str, ...] = ()
    """The folders that it has files in, but does not describe."""
    left_out: Mapping[str, int] = MappingProxyType({})
    """How many devices, foreign owners and extended attributes it has that a devbox cannot have."""


class ImageLayers(Protocol):
    """The layers of images, which stand in a disk's list of layers below those of snapshots."""

    def names(self) -> frozenset[str]:
        """The layers on disk, without unfinished ones."""
        ...

    def unfinished(self) -> frozenset[str]:
        """The folders of layers that are being unpacked, or were when a service ended."""
        ...

    async def unpack(
        self, name: str, feed: Callable[[int], Awaitable[None]], *, max_bytes: int, max_members: int
    ) -> Unpacked:
        """Unpack an uncompressed archive, which `feed` writes to a descriptor; `keep` makes it the layer `name`.

        Raises what `feed` raises, which it does if the archive is not the right one; LayerRefused; and SandboxError.
        """
        ...

    async def keep(self, unpacked: Unpacked, name: str, below: Sequence[str]) -> None:
        """Make it the layer `name` on these layers (top first), which must be there. Raises SandboxError."""
        ...

    async def discard(self, unfinished: str) -> None:
        """Delete an unfinished layer, if it is there."""
        ...

    async def bytes_of(self, name: str) -> int:
        """The size of a layer on disk. The time grows with the number of files."""
        ...

    async def remove(self, name: str) -> None:
        """Delete a layer that no sandbox uses."""
        ...


class Isolation(Protocol):
    """Creates sandboxes on this machine; has been tried out and works."""

    name: IsolationName
    limits: Mapping[str, str]
    """The ways in which memory, processes, disk and CPU are limited here, for `runloop-local status`."""
    caches: Caches | None
    """The folders that `CacheMount` names; None where nothing can be mounted."""
    image_layers: ImageLayers | None
    """The layers of images; None where devboxes have no root of their own."""
    restricts: bool
    """True if outgoing connections of sandboxes can be restricted."""
    notes: tuple[str, ...]
    """Sentences for the user: why no stronger isolation is used, and the limits of this one."""
    weaknesses: tuple[str, ...]
    """The notes that would not apply on a machine that allows more."""

    async def create(self, sandbox_id: str, *, layers: tuple[str, ...] = ()) -> Sandbox:
        """Create a sandbox without starting it; one with this id that is still on disk is reused."""
        ...

    async def remove_layer(self, layer: str) -> None:
        """Delete a snapshot's layer that no sandbox uses."""
        ...

    async def layer_bytes(self, layer: str) -> int:
        """The size of a layer on disk. The time grows with the number of files."""
        ...

    def layers(self) -> frozenset[str]:
        """The layers on disk that snapshots made, unfinished ones included."""
        ...

    def lowest_layers(self) -> frozenset[str]:
        """The layers on disk that images brought, and `SCRATCH`, where disks can stand on them."""
        ...

    def used_layers(self) -> frozenset[str]:
        """The layers that the disks of sandboxes are built on."""
        ...

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        ...

    async def aclose(self) -> None:
        """End all sandboxes' processes and helpers; disks stay."""
        ...
