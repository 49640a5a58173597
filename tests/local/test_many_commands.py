"""A thousand commands at once: they are queued, each runs once, and what else is asked of the devbox is answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runloop_local.engine.devbox.execution import Execution, ExecutionRecord, ProcessRunner
from runloop_local.engine.devbox.execution_manager import ExecutionRequest
from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.devbox.output_log import OutputLog
from runloop_local.engine.engine import Engine
from runloop_local.engine.fair_queue import FairQueue
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.sandbox.base import Command
from tests.waiting import PATIENCE

MANY = 200


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    opened = await Engine.open(tmp_path / "data", "process")
    yield opened
    await opened.aclose()


async def test_all_run_once_and_another_is_answered_between_them(engine: Engine) -> None:
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    executions = [
        await devbox.processes.execute(ExecutionRequest(f"echo {n} >> ran; echo {n}", f"c{n}")) for n in range(MANY)
    ]
    await devbox.disk.save("between")  # asked last
    queued = sum(execution.record.status == "queued" for execution in executions)
    assert queued > MANY // 2
    await asyncio.gather(*(execution.completed() for execution in executions))
    printed = [engine.executions.get(devbox.record.id, f"c{n}") for n in range(MANY)]
    texts = [execution.log.tail("stdout", 9)[0] for execution in await asyncio.gather(*printed)]
    assert texts == [f"{n}\n" for n in range(MANY)]
    await (ran := await devbox.processes.execute(ExecutionRequest("sort -n ran", "sorted"))).completed()
    assert ran.log.tail("stdout", MANY)[0].split() == [str(n) for n in range(MANY)]
    await devbox.shutdown("api_shutdown")


class Nowhere:
    """A sandbox that starts nothing."""

    async def spawn(self, command: Command, **files: int) -> Any:
        raise AssertionError(f"{command.argv} was started")


async def test_a_queued_command_that_is_killed_never_runs(tmp_path: Path) -> None:
    starts = asyncio.Semaphore(0)
    runner = ProcessRunner(Nowhere(), Command(("true",)), starts, FairQueue().flow("dbx"))  # type: ignore[arg-type]
    execution = Execution(ExecutionRecord("e", "dbx", "true"), OutputLog(tmp_path / "e"), runner)
    running = asyncio.create_task(runner.run(execution))
    await asyncio.sleep(0)
    await execution.signal(9, group=True)
    assert execution.record.status == "queued"
    starts.release()
    assert await running == 137
