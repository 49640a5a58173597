"""A look into a devbox from outside the kernel."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.jupyter.embedded import Home


def remote(home: Home, command: str, devbox: str = "main") -> str:
    """What a command prints that another client runs on the devbox."""

    async def ask() -> str:
        async with home.sdk() as sdk:
            found = [view async for view in sdk.api.devboxes.list(status="running") if view.name == devbox]
            return await (await sdk.devbox.from_id(found[0].id).cmd.exec(command)).stdout()

    return asyncio.run(ask())


def ends(home: Home, pattern: str, devbox: str = "main", within: float = 5) -> bool:
    """Whether no process with such a command line is left in the devbox, after a moment at most."""
    deadline = time.monotonic() + within
    while remote(home, f"pgrep -f '{pattern}'; true", devbox):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
