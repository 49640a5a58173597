"""A look into a devbox from outside the kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.jupyter.embedded import Home


def remote(home: Home, command: str, devbox: str = "main") -> str:
    """What a command prints that another client runs on the devbox."""

    async def ask() -> str:
        async with home.sdk() as sdk:
            found = [view async for view in sdk.api.devboxes.list(status="running") if view.name == devbox]
            return await (await sdk.devbox.from_id(found[0].id).cmd.exec(command)).stdout()

    return asyncio.run(ask())


def ends(home: Home, pattern: str, devbox: str = "main") -> bool:
    """True, once no process with such a command line is left in the devbox."""
    return bool(wait_until(lambda: not remote(home, f"pgrep -f '{pattern}'; true", devbox), f"the end of {pattern}"))
