"""Cuts: runs scenarios through a proxy that cuts, delays, repeats and refuses, by a seeded schedule.

Each must end in the right result or in a correct error: no wrong bytes, nothing done twice, no killed command, no hang.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from runloop_sdk import (
    APIConnectionError,
    APIStatusError,
    AsyncRunloopSDK,
    PollingTimeoutError,
    RunloopError,
    StreamError,
    _config,
    _retry,
)

from . import scenarios
from .cases import Cases, Limit, chance
from .clearing import clear
from .fault_proxy import FaultProxy
from .findings import Found, expect
from .pool import Pool
from .scenarios.context import Context, NameKind, check_runs
from .scenarios.devboxes import is_reached
from .schedules import STATUSES, Course, Schedule, schedule
from .service import check_log, client, footprint, leaks, running, settled

if TYPE_CHECKING:
    from tests.local.serving import Service

    from .findings import Report
    from .scenarios.context import Scenario

NAME = "cuts"
AT_ONCE = 12
PATIENCE_S = 60.0
LARGEST = 100_000
_TIMEOUT_S = 5.0
_BACKOFF_S = 0.02
_SILENCE_S = 0.5
_HEARTBEAT_S = 0.12


async def run(limit: Limit, report: Report, *, at_once: int = AT_ONCE) -> None:
    """Run schedules until the limit."""
    with tempfile.TemporaryDirectory(prefix="soak-cuts-") as folder, _running(folder) as service, quickened():
        async with client(service) as direct:
            cuts = Cuts(service, direct, Pool(direct), report.seed)
            before = await footprint(service)
            cases = Cases(NAME, report, PATIENCE_S)
            await cases.run(limit.numbers(), at_once, cuts.one)
            await cuts.pool.aclose()
            await clear(direct)
        for leak in leaks(before, await settled(service, before)):
            report.found(NAME, "leaks", leak)
        check_log(service, NAME, report)
        ends = ", ".join(f"{count} {name}" for name, count in sorted(cuts.ends.items()))
        report.done(NAME, f"{cases.done} schedules ({ends})")


def _running(folder: str) -> AbstractContextManager[Service]:
    return running(Path(folder), "--heartbeat", str(_HEARTBEAT_S))


@contextmanager
def quickened() -> Iterator[None]:
    """Shorten the SDK's times: the delay between retries, and the time until a silent stream counts as cut."""
    with patch.object(_retry, "FIRST_DELAY", _BACKOFF_S), patch.object(_config, "STREAM_TIMEOUT", _SILENCE_S):
        yield


@dataclass
class Cuts:
    """Runs schedules on one service."""

    service: Service
    direct: AsyncRunloopSDK
    """A client without faults, to check what was done."""
    pool: Pool
    seed: int
    ends: Counter[str] = field(default_factory=Counter)

    async def one(self, number: int) -> None:
        """Run the schedule with this number."""
        order = chance(self.seed, NAME, number)
        plan, scenario = schedule(order), scenarios.drawn(order)
        if scenario is is_reached:  # its own requests through the tunnel are not the SDK's
            scenario = scenarios.commands.runs
        proxy = FaultProxy(self.service.base_url, Course(plan))
        async with self.pool.lent() as devbox:
            ctx = Context(self.direct, devbox, order, f"cut{number}x", largest=LARGEST)
            try:
                await self._meet(scenario, ctx, proxy)
                await check_runs(devbox, ctx.runs)
                await check_names(self.direct, ctx.names)
            except Found as found:
                raise Found(found.kind, _story(scenario, plan, proxy, str(found))) from found
            finally:
                await clear(self.direct, ctx.name)

    async def _meet(self, scenario: Scenario, ctx: Context, proxy: FaultProxy) -> None:
        async with (
            proxy.serve() as url,
            client(self.service, url, default_headers=proxy.headers, timeout=_TIMEOUT_S) as sdk,
        ):
            ctx.sdk, ctx.devbox = sdk, sdk.devbox.from_id(ctx.devbox.id)
            try:
                await scenario(ctx)
                self.ends["right"] += 1
            except RunloopError as error:
                expect(is_honest(error), "other", f"{type(error).__name__}: {error}")
                self.ends["refused"] += 1


def is_honest(error: RunloopError) -> bool:
    """True if an error correctly describes what a schedule has done."""
    if isinstance(error, APIStatusError):
        return error.status_code in STATUSES
    return isinstance(error, APIConnectionError | StreamError | PollingTimeoutError)


async def check_names(sdk: AsyncRunloopSDK, names: list[tuple[NameKind, str]]) -> None:
    """Raise `Found` if a resource exists twice that was to be created once."""
    api = sdk.api
    lists: dict[NameKind, Any] = {
        "devbox": api.devboxes.list,
        "snapshot": api.devboxes.disk_snapshots.list,
        "blueprint": api.blueprints.list,
        "object": api.objects.list,
        "axon": api.axons.list,
        "policy": api.network_policies.list,
        "gateway": api.gateway_configs.list,
        "mcp": api.mcp_configs.list,
    }
    for kind, name in names:
        found = [view.id async for view in lists[kind](search=name) if view.name == name]
        expect(len(found) <= 1, "double runs", f"the {kind} {name} was made {len(found)} times")


def _story(scenario: Scenario, plan: Schedule, proxy: FaultProxy, found: str) -> str:
    asked = "\n".join(f"  {line}" for line in proxy.log[-30:])
    return f"{scenario.__name__}: {found}\nschedule:\n  {str(plan).replace(chr(10), chr(10) + '  ')}\nasked:\n{asked}"
