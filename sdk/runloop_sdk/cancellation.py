"""Cancellation that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ._errors import RunloopError

T = TypeVar("T")
UNDO_SECONDS = 10.0


async def complete_or_undo(make: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[object]]) -> T:
    """The result of `make`; cancelled meanwhile, it waits for the answer and undoes it, so that nothing is leaked.

    Without this a request that is cancelled in flight may still start something whose id nobody knows.
    """
    task = asyncio.ensure_future(make)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        if not task.cancelled():
            await run_undo(_then(task, undo), cancelled)
        raise


async def run_undo(undo: Coroutine[Any, Any, object], cause: BaseException) -> bool:
    """Run a clean-up; whether that was done within `UNDO_SECONDS`. Its failure becomes a note on `cause`.

    So what is raised is `cause`, and no refusal of a clean-up hides it.
    """
    try:
        async with asyncio.timeout(UNDO_SECONDS):
            await undo
    except (RunloopError, TimeoutError) as error:
        cause.add_note(f"The clean-up failed: {str(error) or 'no answer in time'}")
        return False
    return True


async def _then(task: asyncio.Future[T], undo: Callable[[T], Awaitable[object]]) -> None:
    await undo(await task)
