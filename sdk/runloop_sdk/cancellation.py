"""Cancellation that cleans up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ._errors import RunloopError

T = TypeVar("T")
UNDO_SECONDS = 10.0


async def complete_or_undo(make: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[object]]) -> T:
    """The result of `make`. If cancelled, it still awaits `make` and passes its result to `undo`.

    Without this, a request that is cancelled in flight may create something whose id nobody knows.
    """
    task = asyncio.ensure_future(make)
    try:
        return await asyncio.shield(task)  # the request goes on when this is cancelled
    except asyncio.CancelledError as cancelled:
        # Unless it was itself cancelled, as by a loop that ends: then there may be nothing to undo, and no id.
        if not task.cancelled():
            await run_undo(_then(task, undo), cancelled)
        raise


async def run_undo(undo: Coroutine[Any, Any, object], cause: BaseException) -> bool:
    """Run a clean-up; True if it succeeds within `UNDO_SECONDS`.

    A failure becomes a note on `cause`, the exception to be raised, instead of hiding it.
    """
    try:
        # Not shielded: a second cancellation gives the clean-up up, as somebody who presses Stop twice wants it.
        async with asyncio.timeout(UNDO_SECONDS):
            await undo
    except (RunloopError, TimeoutError) as error:
        cause.add_note(f"The clean-up failed: {str(error) or 'no answer in time'}")
        return False
    return True


async def _then(task: asyncio.Future[T], undo: Callable[[T], Awaitable[object]]) -> None:
    await undo(await task)
