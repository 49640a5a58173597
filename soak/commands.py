"""Commands: long commands in real time, run in every way, with and without heartbeats. It is idle most of the time."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.long_commands import Trial, begun

if TYPE_CHECKING:
    from .cases import Limit
    from .findings import Report

NAME = "commands"
LONGEST_S = 600.0


async def run(limit: Limit, report: Report) -> None:
    """Run the commands until the limit, at most ten minutes."""
    seconds = LONGEST_S if limit.seconds is None else min(limit.seconds, LONGEST_S)
    await asyncio.to_thread(_run, seconds, report)


def _run(seconds: float, report: Report) -> None:
    trials = {"with heartbeats": Trial(seconds), "without heartbeats": Trial(seconds, heartbeat=0.0)}
    with tempfile.TemporaryDirectory(prefix="soak-commands-") as folder, ExitStack() as stack:
        waits = {
            name: stack.enter_context(begun(trial, Path(folder) / str(number)))
            for number, (name, trial) in enumerate(trials.items())
        }
        outcomes = [(name, outcome) for name, wait in waits.items() for outcome in wait()]
    for name, outcome in outcomes:
        if outcome.problem:
            report.found(NAME, "losses", f"{outcome.way}, {outcome.pattern}, {name}: {outcome.problem}")
    report.done(NAME, f"{len(outcomes)} commands of {seconds:.0f} s")
