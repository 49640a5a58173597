"""Disks that cannot be removed: their devbox has ended all the same, and the user is told at once."""

from pathlib import Path

import pytest

from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.engine import Engine
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.sandbox import SandboxError
from tests.waiting import PATIENCE, until


async def test_one_of_a_devbox_whose_time_is_over_is_told_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await Engine.open(tmp_path / "data", "process")
    create = engine.isolation.create

    async def with_a_stuck_disk(name: str, *, layers: tuple[str, ...] = ()) -> object:
        sandbox = await create(name, layers=layers)

        async def refuse() -> None:
            raise SandboxError("rm failed: Read-only file system.")

        monkeypatch.setattr(sandbox, "destroy", refuse)
        return sandbox

    try:
        with monkeypatch.context() as patched:
            patched.setattr(engine.isolation, "create", with_a_stuck_disk)
            limits = {"keep_alive_time_seconds": 1}
            devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms(), launch_parameters=limits))
            assert await devbox.state.wait(frozenset({"shutdown"}), PATIENCE)
            name = devbox.record.id
            told = f"The disk of {name}, which has ended, cannot be removed: rm failed: Read-only file system."
            await until(lambda: told in engine.notes, "the problem")
            assert caplog.text.count("Read-only") == 1
        await devbox.shutdown("api_shutdown")
        assert told not in engine.notes
        assert name not in engine.isolation.sandboxes()
    finally:
        await engine.aclose()
