"""The disk of a devbox, which outlives its processes while it is suspended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import InvalidError
from ..problems import telling

if TYPE_CHECKING:
    from ...sandbox.base import Isolation, Sandbox
    from .state import DevboxState


class Disk:
    """The disk of one devbox: made when it is first needed, saved as a layer, removed at the end."""

    def __init__(self, state: DevboxState, isolation: Isolation, problems: dict[str, str]) -> None:
        self._state = state
        self._isolation = isolation
        self._problems = problems
        self._sandbox: Sandbox | None = None
        self._lock = asyncio.Lock()
        """Held while the disk is made or removed, so that it is not made anew behind its removal."""

    async def sandbox(self) -> Sandbox:
        """The sandbox on this disk, made if there is none yet; raises `InvalidError` once the devbox has ended."""
        async with self._lock:
            if self._state.has_ended:
                raise InvalidError(f"Devbox {self._state.record.id} is {self._state.status}: it has no disk any more.")
            return await self._made()

    def require_there(self) -> None:
        """Raise `InvalidError` if the disk of a suspended devbox is missing.

        `sandbox` would make an empty one in its place, and the files would be gone without a word.
        """
        devbox_id = self._state.record.id
        if self._sandbox is None and devbox_id not in self._isolation.sandboxes():
            raise InvalidError(
                f"Devbox {devbox_id} cannot be resumed, as its disk is not among those of "
                f"{self._isolation.name} isolation: it is missing, or was made with another --isolation."
            )

    def require_usable(self, action: str) -> None:
        """Raise `InvalidError` unless the devbox runs or is suspended, which `action` needs."""
        if self._state.status not in ("running", "suspended"):
            raise InvalidError(
                f"Devbox {self._state.record.id} is {self._state.status}; to {action} it must be running or suspended."
            )

    async def save(self, layer: str) -> tuple[str, ...]:
        """Freeze the disk as the new layer `layer`; the layers to start another devbox from, top first."""
        self.require_usable("save its disk")
        # Without the lock: in the sandbox itself a snapshot, a stop and a removal take turns. So a suspend or shutdown
        # waits for a snapshot under way, and one that comes after it finds no disk.
        return await (await self.sandbox()).snapshot(layer)

    async def remove(self) -> None:
        """Remove the disk of a devbox that has ended. Repeating it is not an error."""
        async with self._lock:
            # One that an earlier service has left suspended has a disk, and no sandbox was made for it yet.
            # Told here, as it is not always raised to somebody: an expiry or a limit may have ended the devbox.
            devbox_id = self._state.record.id
            with telling(self._problems, devbox_id, f"The disk of {devbox_id}, which has ended, cannot be removed"):
                sandbox = await self._made() if self._state.record.has_disk else self._sandbox
                self._sandbox = None
                if sandbox is not None:
                    await sandbox.destroy()
            if self._state.record.has_disk or not self._state.is_stored:
                self._state.note(has_disk=False)
                await self._state.save()

    async def _made(self) -> Sandbox:
        if self._sandbox is None:
            record = self._state.record
            self._sandbox = await self._isolation.create(record.id, layers=record.layers)
            self._state.note(has_disk=True)
        return self._sandbox
