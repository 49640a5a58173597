"""The parts of a sandbox that differ between the kinds of isolation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runloop_local.sandbox.base import EgressPredicate, Limits, Mount, User
    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.link import Reply
    from runloop_local.sandbox.running import Run


class SandboxBackend(ABC):
    """The disk, the mounts, the accounts and the network of one sandbox."""

    own_processes: ClassVar[int]
    """The number of processes besides the agent and those of commands."""
    has_terminals: ClassVar[bool]
    """True if the sandbox has its own /dev/pts."""

    @abstractmethod
    async def prepare(self, limits: Limits | None) -> Message:
        """Prepare the disk; returns the fields of the start request."""

    @abstractmethod
    def environment(self, user: User) -> Mapping[str, str]:
        """The default environment of this user's programs."""

    def argv(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The arguments with which a program is executed."""
        return argv

    @abstractmethod
    def path(self, path: str) -> str:
        """Translate a path of the file API to the one that processes inside use."""

    @abstractmethod
    def mount(self, wanted: Sequence[Mount]) -> None:
        """Set the mounts from the next start on; raises SandboxError where they are not supported."""

    @abstractmethod
    async def copy_disk(self, layer: str) -> tuple[str, ...]:
        """Copy the disk as a layer, while its processes are stopped or paused."""

    @abstractmethod
    async def freeze_disk(self, layer: str) -> tuple[str, ...]:
        """Turn the disk into a layer; the sandbox has no processes that write to it."""

    @abstractmethod
    async def disk_bytes(self) -> int:
        """The size of the disk and its mounts, without the layers below."""

    @abstractmethod
    async def remove_disk(self) -> None:
        """Delete the disk and everything stored with it."""

    async def remove_work_folders(self) -> None:  # noqa: B027 - optional
        """Delete work folders left by freezing the disk, once no earlier run needs them."""

    def read_greeting(self, greeting: Reply) -> None:  # noqa: B027 - optional
        """Read the first message from the sandbox."""

    async def complete_start(self, run: Run, is_allowed: EgressPredicate | None) -> None:  # noqa: B027 - optional
        """Complete a run whose agent has just started."""

    async def clean_up_mounts(self) -> None:  # noqa: B027 - optional
        """Delete what mounts have left on disk, once no run needs it."""

    def require_open(self, port: int) -> None:  # noqa: B027 - optional
        """Raise SandboxError for a port that is closed to connections from outside."""
