"""Holding a request until something is so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bell import Bell


async def wait_until(bell: Bell, reached: Callable[[], bool], timeout: float | None = None) -> bool:
    """True once `reached()`, looked at whenever the bell rings; False after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while not reached():
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            return False
        await bell.wait(left)
    return True
