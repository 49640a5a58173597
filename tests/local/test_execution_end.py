"""However running a command goes wrong, its execution ends."""

from pathlib import Path

import pytest

from runloop_local.engine.devbox.execution import Execution, ExecutionRecord
from runloop_local.engine.devbox.output_log import OutputLog
from runloop_local.engine.errors import DiskFullError
from runloop_local.sandbox import SandboxEnded, SandboxError


class Runner:
    """A way to run commands that fails."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def run(self, execution: Execution) -> int:
        execution.started()
        if self._error is not None:
            raise self._error
        return 0

    async def signal(self, number: int, *, group: bool) -> None:
        raise AssertionError("nothing runs")


@pytest.mark.parametrize(
    ("error", "code", "failure"),
    [
        (None, 0, None),
        (SandboxEnded("gone"), 137, None),
        (SandboxError("no such user"), 126, "could not be started: no such user"),
        (OSError(24, "Too many open files"), 126, "no descriptors left"),
    ],
    ids=["none", "devbox ended", "sandbox refuses", "no descriptors"],
)
async def test_outcome(tmp_path: Path, error: Exception | None, code: int, failure: str | None) -> None:
    kept: list[ExecutionRecord] = []

    async def keep(record: ExecutionRecord) -> None:
        assert execution.record.status == "running"
        kept.append(record)

    execution = Execution(ExecutionRecord("e", "d", "true"), OutputLog(tmp_path / "log"), Runner(error))
    await execution.run(keep)
    assert (execution.record.status, execution.record.exit_status) == ("completed", code)
    assert (execution.record.failure is None) == (failure is None)
    assert failure is None or failure in (execution.record.failure or "")
    assert [record.exit_status for record in kept] == [code]
    assert execution.log.finished


async def test_an_outcome_that_cannot_be_kept_says_so(tmp_path: Path) -> None:
    async def refuse(record: ExecutionRecord) -> None:
        raise DiskFullError("no room")

    execution = Execution(ExecutionRecord("e", "d", "true"), OutputLog(tmp_path / "log"), Runner(None))
    await execution.run(refuse)
    assert (execution.record.exit_status, execution.record.failure) == (0, "no room")


async def test_a_surprise_is_raised_and_still_ends_it(tmp_path: Path) -> None:
    async def keep(record: ExecutionRecord) -> None:
        raise AssertionError("not reached")

    runner = Runner(ZeroDivisionError())
    execution = Execution(ExecutionRecord("e", "d", "true"), OutputLog(tmp_path / "log"), runner)
    with pytest.raises(ZeroDivisionError):
        await execution.run(keep)
    assert execution.record.status == "completed"
