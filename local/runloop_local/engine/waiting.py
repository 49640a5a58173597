"""Waits for a condition."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .change_notifier import ChangeNotifier


async def wait_until(changed: ChangeNotifier, reached: Callable[[], bool], timeout: float | None = None) -> bool:
    """Wait until `reached()` is true, checking it at each change; False after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while not reached():
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            return False
        await changed.wait(left)
    return True
