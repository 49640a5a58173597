"""What a service keeps of the devboxes that it has had."""

from pathlib import Path

import pytest

from runloop_local.engine.devbox import devboxes
from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.engine import Engine
from runloop_local.engine.ids import new_id, now_ms
from tests.waiting import PATIENCE


async def test_those_that_are_gone_are_in_memory_only_while_there_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devboxes, "_FEW", 4)
    engine = await Engine.open(tmp_path / "data", "process")
    try:
        engine.devboxes._drop_ended()  # with that number
        lasting = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
        for _ in range(10):
            devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
            await devbox.shutdown("api_shutdown")
            assert len(list(engine.devboxes.live())) <= 4
        assert await lasting.state.wait(frozenset({"running"}), PATIENCE)
        assert lasting in engine.devboxes.live()
    finally:
        await engine.aclose()
