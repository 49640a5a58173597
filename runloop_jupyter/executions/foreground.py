"""A command that the cell waits for: Stop kills it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..progress import counting
from ..results import outcome

if TYPE_CHECKING:
    from ..cell_output import CellOutput
    from ..results import DevboxResult
    from .run import CommandRun


async def run_in_cell(run: CommandRun, output: CellOutput, *, show_status: bool) -> DevboxResult:
    """Its result, its output streaming into the cell, with a line about the end where `show_status`."""
    where = run.devbox.short
    async with output:
        output.status(counting(f"running {{}} on {where} — Stop to kill"))
        try:
            result = await run.finish(output)
        except asyncio.CancelledError:
            await run.kill()
            output.final(f"✗ stopped and killed · {run.elapsed} · {where}")
            raise
        if show_status:
            output.final(f"{outcome(result.exit_code, result.duration)} · {where}")
    return result
