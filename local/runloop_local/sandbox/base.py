"""What the engine asks of a way to isolate devboxes. `namespaces.py` and `process.py` are the two ways."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

IsolationName = Literal["namespaces", "landlock", "none"]
User = Literal["user", "root"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
EgressPredicate = Callable[[str, int, Address | None], bool]
"""Whether a host, by name, may be reached on a port at an address; with no address, whether it may at any."""

NO_ROOM = "No space left on device"


class SandboxError(Exception):
    """A sandbox could not do what was asked; the text is one sentence for a person."""


class SandboxEnded(SandboxError):  # noqa: N818 - it tells what happened
    """The sandbox is gone (stopped, or ended on its own), so nothing can be asked of it."""


class SandboxFull(SandboxError):  # noqa: N818 - it tells what happened
    """What was asked was not done because the disk is full."""


def failure(sentence: str, said: str) -> SandboxError:
    """The error of a program of ours that failed and said this: in the system's words, as it speaks no other."""
    return (SandboxFull if NO_ROOM in said else SandboxError)(sentence)


@dataclass(frozen=True, slots=True)
class Command:
    """One program to start inside a sandbox."""

    argv: tuple[str, ...]
    user: User = "user"
    cwd: str | None = None
    """Absolute path inside the sandbox; the user's home by default."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the sandbox's own clean environment."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The account that something belongs to, as the sandbox knows it, and its mode."""

    uid: int = 0
    gid: int = 0
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class MemoryMount:
    """A folder in memory."""

    target: str
    size: int | None = None
    """In bytes; half of this machine's memory by default."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class FileMount:
    """A file in memory, which no disk gets to know."""

    target: str
    content: str = field(repr=False)
    ownership: Ownership = Ownership(mode=0o400)
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class CacheMount:
    """A folder that outlives sandboxes."""

    target: str
    name: str
    ownership: Ownership = Ownership()
    """Whose it is made."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class DiskMount:
    """A folder or file of another disk; what is written to it goes away with the run."""

    target: str
    layers: tuple[str, ...]
    source: str
    read_only: bool = True


Mount = MemoryMount | FileMount | CacheMount | DiskMount


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sandbox may use."""

    memory_bytes: int
    cpus: float
    disk_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a sandbox uses."""

    memory_bytes: int
    processes: int
    """Those of its commands."""
    killed_for_memory: bool = False
    """Whether the kernel has ended one of them because there was not enough."""


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
        """Make it able to run commands. Works again after `stop`: the disk is as it was."""
        ...

    async def spawn(self, command: Command, *, stdin: int, stdout: int, stderr: int) -> Process:
        """Start a program on three descriptors. The caller keeps its own copies and closes them.

        What keeps a program from starting (no such program, no such directory) is written to `stderr`, and the
        exit status is 127 or 126, as a shell does it.
        """
        ...

    async def spawn_on_terminal(self, command: Command, *, rows: int, cols: int) -> tuple[Process, int]:
        """Start a program on a terminal of its own; returns it and the terminal's other end, a non-blocking descriptor.

        The caller owns the descriptor; when it is closed, the programs in the foreground get SIGHUP.
        """
        ...

    async def dial(self, port: int) -> socket.socket:
        """A connected, non-blocking TCP socket to `port` of the sandbox's localhost, whichever address that has."""
        ...

    def path(self, path: str) -> str:
        """The path that processes inside use for a file API path (they differ in process mode only)."""
        ...

    def limit(self, limits: Limits) -> None:
        """What it may use from its next start on, as far as this machine can enforce it."""
        ...

    def mount(self, wanted: Sequence[Mount]) -> None:
        """What it has beside its disk from its next start on, in this order; `SandboxError` where that is not served.

        Places that are made for it are no part of the disk, unless something is put into them.
        """
        ...

    def restrict(self, reach: EgressPredicate | None) -> None:
        """What it may connect to from its next start on; where the isolation does not restrict, this has no effect."""
        ...

    async def load(self) -> Load:
        """What it uses now."""
        ...

    async def disk_bytes(self) -> int:
        """What its own disk takes, and what is mounted, apart from layers; slower the more files there are."""
        ...

    async def ended(self) -> None:
        """Returns when the sandbox has ended without having been asked to."""
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
    """Folders that outlive the sandboxes that have them mounted, by name."""

    def used(self) -> Mapping[str, int]:
        """Those on disk, and when they were of use last, in ms."""
        ...

    def touch(self, name: str) -> None:
        """One is of use now; it is made if there is none."""
        ...

    def is_new(self, name: str) -> bool:
        """Whether no sandbox has had it yet."""
        ...

    async def bytes_of(self, name: str) -> int:
        """What one takes on disk; slower the more files it has."""
        ...

    async def remove(self, name: str) -> None:
        """Delete one that no sandbox has mounted."""
        ...


class Isolation(Protocol):
    """A way to make sandboxes on this machine, already tried and found to work."""

    name: IsolationName
    limits: Mapping[str, str]
    """What is enforced here and by what means, for `runloop-local status`: memory, processes, disk, CPU."""
    caches: Caches | None
    """What `CacheMount` names; None where nothing can be mounted."""
    restricts: bool
    """Whether what sandboxes may connect to can be restricted."""
    notes: tuple[str, ...]
    """Sentences for a person: why a stronger isolation was not taken, and what this one does not do."""
    weaknesses: tuple[str, ...]
    """Those of them that a machine which allows more does not have."""

    async def create(self, sandbox_id: str, *, layers: tuple[str, ...] = ()) -> Sandbox:
        """A sandbox that is not started yet; one with this id that was left on disk is taken up again."""
        ...

    async def remove_layer(self, layer: str) -> None:
        """Delete a snapshot's layer that no sandbox uses."""
        ...

    async def layer_bytes(self, layer: str) -> int:
        """What a layer takes on disk; slower the more files it has."""
        ...

    def layers(self) -> frozenset[str]:
        """The layers on disk that snapshots made, half-made ones too."""
        ...

    def used_layers(self) -> frozenset[str]:
        """Those that sandboxes on disk stand on."""
        ...

    def sandboxes(self) -> frozenset[str]:
        """The ids of the sandboxes on disk."""
        ...

    async def aclose(self) -> None:
        """End all sandboxes' processes and helpers; disks stay."""
        ...
