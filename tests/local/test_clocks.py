"""A clock that is set while a service runs: nothing is negative, and no step of the clock is counted."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runloop_local.engine.devbox.execution_manager import ExecutionRequest
from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.engine import Engine
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.engine.storage.idempotency import NO_REQUEST
from runloop_local.engine.views import usage_view
from tests.waiting import PATIENCE

HOUR_S = 3600


class Clock:
    """This machine's clock, which a test sets."""

    def __init__(self) -> None:
        self._now = time.time_ns
        self.ahead_s = 0

    def time_ns(self) -> int:
        return self._now() + self.ahead_s * 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "time_ns", found.time_ns)
    return found


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    opened = await Engine.open(tmp_path / "data", "process")
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("step", [-HOUR_S, HOUR_S, -10 * 365 * 24 * HOUR_S], ids=["back", "forward", "ten years back"])
async def test_what_a_devbox_has_used_counts_no_step(engine: Engine, clock: Clock, step: int) -> None:
    began = time.monotonic()
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    for status in ("suspended", "running", "shutdown"):
        clock.ahead_s += step
        between = usage_view(devbox.record, devbox.state.in_status_ms)
        assert 0 <= between["total_active_seconds"] <= between["total_elapsed_seconds"] <= time.monotonic() - began
        if status == "suspended":
            await devbox.suspend()
        elif status == "running":
            await devbox.resume()
        else:
            await devbox.shutdown("api_shutdown")
        assert await devbox.state.wait(frozenset({status}), PATIENCE)
    usage = usage_view(devbox.record, None)
    assert 0 <= usage["total_active_seconds"] <= usage["total_elapsed_seconds"] <= time.monotonic() - began
    times = [transition.time_ms for transition in devbox.record.transitions]
    assert times == sorted(times)


async def test_a_command_never_ends_before_it_began(engine: Engine, clock: Clock) -> None:
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    execution = await devbox.processes.execute(ExecutionRequest("read line", "slow", stdin=True))
    clock.ahead_s -= HOUR_S
    await execution.end_input()
    await execution.completed()
    assert execution.record.end_time_ms == execution.record.start_time_ms
    await devbox.shutdown("api_shutdown")


async def test_what_is_kept_never_changed_before_it_was_made(engine: Engine, clock: Clock) -> None:
    secret = await engine.secrets.create("NAME", "old", NO_REQUEST)
    config = await engine.gateway_configs.create({"name": "c"}, NO_REQUEST)
    axon = await engine.axons.create("a", {}, NO_REQUEST)
    clock.ahead_s -= HOUR_S
    assert (await engine.secrets.update(secret, "new")).update_time_ms == secret.update_time_ms
    changed = await engine.gateway_configs.update(config["id"], lambda _: {"name": "d"}, NO_REQUEST)
    assert changed["update_time_ms"] == config["update_time_ms"]
    assert (await engine.axons.delete(axon.id)).deleted_at_ms == axon.created_at_ms
