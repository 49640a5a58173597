"""Commands that the cell waits for: Stop kills them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..output.cell_output import CellOutput
    from ..results import DevboxResult, FanOutResult
    from .fan_out import FanOut
    from .grid import Row
    from .run import CommandRun

_REPLACED = " · some of it is not UTF-8 text: � stands for each such byte"


async def run_in_cell(run: CommandRun, output: CellOutput, *, show_status: bool) -> DevboxResult:
    """Its result, its output streaming into the cell, with a line about the end where `show_status`."""
    where = run.devbox.short
    async with output:
        output.status(run.line(f"running {{}} on {where} — Stop to kill"))
        try:
            result = await run.finish(output)
        except asyncio.CancelledError:
            # Said before the kill: a second Stop ends the cell in the middle of it, and then this is what is known.
            output.final(f"✗ stopped, perhaps not killed: %devbox kill {run.reference} · {where}")
            await run.kill()
            output.final(f"✗ stopped and killed · {run.elapsed} · {where}")
            raise
        note = (f" · {run.note}" if run.note else "") + (_REPLACED if result.replaced else "")
        if show_status:
            output.final(f"{result.outcome} · {where}{note}")
        elif note:
            output.final(note.removeprefix(" · "))
    return result


async def watch_in_cell(run: CommandRun, output: CellOutput) -> DevboxResult:
    """Its result, its output streaming into the cell; Stop leaves the command alone."""
    where = run.devbox.short
    async with output:
        output.status(run.line(f"running for {{}} on {where} — Stop to leave it alone"))
        try:
            return await run.finish(output)
        except asyncio.CancelledError:
            output.final(f"left running on {where} — %devbox kill {run.reference}")
            raise


async def run_on_all(fan_out: FanOut, output: CellOutput, *, fail_fast: bool, keep: bool) -> FanOutResult:
    """The result of each devbox, above their output a live grid, which stays if `keep` or if one failed."""
    async with output:
        return await watch_fan_out(
            fan_out,
            output,
            fail_fast=fail_fast,
            note="Stop kills all.",
            stopped="✗ stopped: all that ran was killed",
            keep=keep,
        )


async def watch_fan_out(
    fan_out: FanOut, output: CellOutput, *, fail_fast: bool, note: str, stopped: str, keep: bool
) -> FanOutResult:
    """The result of each devbox; the grid says `note` while they run, and `stopped` when that is cancelled."""
    from .grid import grid_html, grid_text  # a single command needs neither these nor the tables they stand on

    if not output.shows_displays:
        output.status(lambda: f"{fan_out.summary} — {note}")
    said = note

    def show(rows: list[Row]) -> None:
        grid = {"text/plain": grid_text(rows, said), "text/html": grid_html(rows, said)}
        output.display_in_place(grid if rows else {"text/plain": ""}, "grid")

    try:
        result = await fan_out.run(fail_fast=fail_fast, show=show)
    except asyncio.CancelledError:
        said = stopped
        show(fan_out.rows)
        raise
    said = result.outcome
    show(fan_out.rows if keep or not result.success else [])
    return result
