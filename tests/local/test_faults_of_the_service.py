"""Faults of the service itself, in what a devbox does in the background."""

from pathlib import Path

import pytest

from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.engine import Engine
from runloop_local.engine.ids import new_id, now_ms
from tests.waiting import PATIENCE


@pytest.mark.parametrize("fault", [TypeError("no such argument"), KeyError("x"), AssertionError()], ids=repr)
async def test_a_devbox_whose_launch_meets_one_has_failed_and_the_log_has_where(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await Engine.open(tmp_path / "data", "process")

    async def faulty(name: str, *, layers: tuple[str, ...] = ()) -> object:
        raise fault

    monkeypatch.setattr(engine.isolation, "create", faulty)
    try:
        devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
        assert await devbox.state.wait(frozenset({"failure"}), PATIENCE)
        assert type(fault).__name__ in str(devbox.record.transitions[-1].reason)
        assert caplog.text.count(f"Devbox {devbox.record.id} failed by a fault of the service") == 1
        assert "in faulty" in caplog.text
        await devbox.shutdown("api_shutdown")
    finally:
        await engine.aclose()
