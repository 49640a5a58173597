"""Kills: `kill -9` of a busy service at random moments, again and again on the same data.

Afterwards all acknowledged changes must exist, interrupted ones must be done once when retried, and no process may be
left.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.local.api import connect
from tests.local.processes import alive, descendants

from .cases import Cases, Limit, chance
from .clearing import clear
from .findings import expect
from .ledger import Ledger, check, retry, statuses
from .lives import Life
from .service import check_log, client, footprint, leaks, running, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.local.serving import Service

    from .findings import Report
    from .ledger import Look
    from .service import Footprint

NAME = "kills"
PATIENCE_S = 120.0
_LIFE_S = (0.3, 2.5)
_GONE_WITHIN_S = 10.0
_CLEARED_EVERY = 10
"""The number of kills after which everything is deleted, to keep rounds short; records of ended devboxes stay."""


async def run(limit: Limit, report: Report) -> None:
    """Kill the service until the limit."""
    with tempfile.TemporaryDirectory(prefix="soak-kills-") as folder:
        kills = Kills(Path(folder), report)
        try:
            before = await kills.start()
            cases = Cases(NAME, report, PATIENCE_S)
            await cases.run(limit.numbers(), 1, kills.one)
            await kills.clear()
            for leak in leaks(before, await settled(kills.service, before)):
                report.found(NAME, "leaks", leak)
        finally:
            kills.close()
        told = f"ready after {statistics.median(kills.ready):.2f} s, at most {max(kills.ready):.2f} s"
        report.done(NAME, f"{cases.done} kills, {kills.checked} things checked, {told}")


async def all_of(looks: Sequence[Look]) -> None:
    """Run all checks in parallel, and raise the exceptions of all."""
    found = await asyncio.gather(*(look() for look in looks), return_exceptions=True)
    errors = [error for error in found if isinstance(error, Exception)]
    if errors:
        raise ExceptionGroup("after a kill", errors)


@dataclass
class Kills:
    """Runs one service after the other on the same data."""

    folder: Path
    report: Report
    ready: list[float] = field(default_factory=list)
    """Seconds from each start after a kill until the service answers."""
    checked: int = 0
    _ledger: Ledger = field(default_factory=Ledger)
    _stack: ExitStack = field(default_factory=ExitStack)

    async def start(self) -> Footprint:
        """Start the first service."""
        self.service: Service = self._stack.enter_context(running(self.folder))
        async with client(self.service) as sdk:
            await (await sdk.devbox.create()).shutdown()
        return await footprint(self.service)

    def close(self) -> None:
        """Stop the last service."""
        self._stack.close()

    async def one(self, number: int) -> None:
        """Run a busy service, kill it, restart it, and check its data."""
        order = chance(self.report.seed, NAME, number)
        try:
            await self._live(order)
        finally:
            await self._start_again(number)
        async with connect(self.service) as api:
            looks = await check(api, self._ledger, order)
            self.checked += self._ledger.number()
            devboxes = await statuses(api)
            changes, self._ledger.unanswered = list(self._ledger.unanswered.values()), {}
            await all_of([partial(retry, api, change, devboxes) for change in changes])
            await all_of(looks)
        if number % _CLEARED_EVERY == _CLEARED_EVERY - 1:
            await self.clear()

    async def clear(self) -> None:
        """Delete everything."""
        self._ledger = Ledger()
        async with client(self.service) as sdk:
            await clear(sdk)

    async def _live(self, order: random.Random) -> None:
        """Kill a busy service, and check that no process is left."""
        async with connect(self.service) as api:
            life = Life(api, self._ledger, order)
            living = asyncio.create_task(life.go_on())
            await asyncio.wait({living}, timeout=order.uniform(*_LIFE_S))
            below = descendants(self.service.process.pid)
            life.ends = True
            self.service.kill()
            await living
        deadline = time.monotonic() + _GONE_WITHIN_S
        while left := [pid for pid in below if alive(pid)]:
            expect(time.monotonic() < deadline, "leaks", f"{len(left)} processes outlive a killed service: {left}")
            await asyncio.sleep(0.02)
        mounts = Path("/proc/self/mountinfo").read_text()
        expect(str(self.folder) not in mounts, "leaks", "a killed service leaves mounts")

    async def _start_again(self, number: int) -> None:
        check_log(self.service, NAME, self.report)
        if self.service.process.poll() is None:  # the work itself has failed
            self.service.kill()
        self._stack.close()
        self._stack = ExitStack()
        start = time.monotonic()
        self.service = self._stack.enter_context(running(self.folder))
        self.ready.append(time.monotonic() - start)
