"""Load: many clients with mixed work on one service; every response is checked, and nothing may be left in the end."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from . import scenarios
from .cases import Cases, Limit, chance
from .clearing import clear
from .pool import Pool
from .scenarios import official
from .scenarios.context import Context, check_runs
from .service import check_log, client, footprint, leaks, running, settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.serving import Service

    from .findings import Report

NAME = "load"
CLIENTS = 6
LARGEST = 20_000_000
PATIENCE_S = 180.0


async def run(limit: Limit, report: Report, *, clients: int = CLIENTS, largest: int = LARGEST) -> None:
    """Run scenarios until the limit, delete everything, and compare the footprint with that at the start.

    The first cases run each scenario once, so that what the service keeps permanently exists before the first
    measurement.
    """
    with tempfile.TemporaryDirectory(prefix="soak-load-") as folder, running(Path(folder)) as service:
        load, numbers = Load(service, Cases(NAME, report, PATIENCE_S), clients, largest), limit.numbers()
        await load.run(islice(numbers, len(scenarios.WEIGHTS)))
        before = await footprint(service)
        await load.run(numbers)
        after = await settled(service, before)
        for leak in leaks(before, after):
            report.found(NAME, "leaks", leak)
        check_log(service, NAME, report)
        grown = f"memory {before.memory_mb:.0f} -> {after.memory_mb:.0f} MB"
        report.done(NAME, f"{load.cases.done} scenarios by {clients} clients, {grown}")


@dataclass
class Load:
    """Runs scenarios on one service; some with the official client."""

    service: Service
    cases: Cases
    clients: int
    largest: int

    async def run(self, numbers: Iterator[int]) -> None:
        """Run these cases, then delete everything."""
        async with client(self.service) as sdk:
            pool = Pool(sdk)

            async def one(number: int) -> None:
                order = chance(self.cases.report.seed, NAME, number)
                scenario = list(scenarios.WEIGHTS)[number] if number < len(scenarios.WEIGHTS) else None
                if scenario is None and order.random() < official.SHARE:
                    await official.one(self.service, order, f"load{number}x")
                    return
                async with pool.lent() as devbox:
                    ctx = Context(sdk, devbox, order, f"load{number}x", largest=self.largest)
                    await (scenario or scenarios.drawn(order))(ctx)
                    await check_runs(devbox, ctx.runs)

            await self.cases.run(numbers, self.clients, one)
            await pool.aclose()
            await clear(sdk)
