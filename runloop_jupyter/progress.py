"""A status line that counts the seconds while something takes its time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .durations import spell_duration


def counting(text: str) -> Callable[[], str]:
    """A status line from now on: `text` with {} for the time that has passed."""
    started = time.monotonic()
    return lambda: text.replace("{}", spell_duration(time.monotonic() - started))


@asynccontextmanager
async def waiting(text: str) -> AsyncIterator[None]:
    """Show "`text` … 4 s" in the cell while the body takes longer than two seconds."""
    from .cell_output import CellOutput

    async with CellOutput() as output:
        output.status(counting(text + " … {}"))
        yield
