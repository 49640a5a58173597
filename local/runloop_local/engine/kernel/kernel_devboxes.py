"""Ends the devboxes of kernels that have ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..devbox.lifecycle import TERMINAL

if TYPE_CHECKING:
    from ..devbox.devbox import Devbox
    from ..devbox.devboxes import Devboxes
    from ..storage.snapshots import Snapshots


class KernelDevboxes:
    """The devboxes that belong to kernels."""

    def __init__(self, devboxes: Devboxes, snapshots: Snapshots) -> None:
        self._devboxes = devboxes
        self._snapshots = snapshots

    def of(self, kernel_id: str) -> list[Devbox]:
        """The devboxes of a kernel that have not ended."""
        return [
            devbox
            for devbox in self._devboxes.live()
            if devbox.record.owner is not None and devbox.record.owner.id == kernel_id and devbox.status not in TERMINAL
        ]

    async def release(self, kernel_id: str) -> None:
        """End the devboxes that end with their kernel, each after its snapshots in progress.

        For the others, the keep-alive time starts now.
        """
        await asyncio.gather(*map(self._release, self.of(kernel_id)))

    async def _release(self, devbox: Devbox) -> None:
        owner = devbox.record.owner
        if owner is not None and owner.ends:
            # What somebody asked to keep is kept: a kernel often ends right after its last cell took a snapshot.
            await self._snapshots.settled(devbox.record.id)
            await devbox.end_with_owner()
        else:
            # It was held by its kernel until now: without this, a time that is over already would end it at once.
            devbox.processes.touch()
