"""Disks that cannot be removed: their devbox has ended all the same, and the user is told at once."""

import asyncio
from pathlib import Path

import pytest

from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.engine import Engine
from runloop_local.engine.errors import StoppingError
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


@pytest.mark.parametrize("seconds", [None, 1], ids=["asked for", "its time is over"])
async def test_one_that_is_being_removed_as_the_service_stops_is_no_problem_and_the_next_service_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: int | None
) -> None:
    engine = await Engine.open(tmp_path / "data", "process")
    create, removing = engine.isolation.create, asyncio.Event()

    async def with_a_slow_disk(name: str, *, layers: tuple[str, ...] = ()) -> object:
        sandbox = await create(name, layers=layers)

        async def take_long() -> None:
            removing.set()
            await asyncio.sleep(PATIENCE)

        monkeypatch.setattr(sandbox, "destroy", take_long)
        return sandbox

    monkeypatch.setattr(engine.isolation, "create", with_a_slow_disk)
    limits = {} if seconds is None else {"keep_alive_time_seconds": seconds}
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms(), launch_parameters=limits))
    assert await devbox.state.wait(frozenset({"running", "shutdown"}), PATIENCE)
    asked = asyncio.create_task(devbox.shutdown("api_shutdown")) if seconds is None else None
    await asyncio.wait_for(removing.wait(), PATIENCE)
    await engine.aclose()
    if asked is not None:
        with pytest.raises(StoppingError, match=f"{devbox.record.id} has ended; the next start"):
            await asked
    assert "cannot be removed" not in caplog.text
    again = await Engine.open(tmp_path / "data", "process")
    try:
        await until(lambda: devbox.record.id not in again.isolation.sandboxes(), "the removal")
        assert (await again.devboxes.state(devbox.record.id)).status == "shutdown"
        assert not [note for note in again.notes if "disk" in note]
    finally:
        await again.aclose()


async def test_one_that_is_being_removed_is_gone_even_if_its_caller_gives_up(tmp_path: Path) -> None:
    engine = await Engine.open(tmp_path / "data", "process")
    try:
        devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
        assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
        asked = asyncio.create_task(devbox.shutdown("api_shutdown"))
        assert await devbox.state.wait(frozenset({"shutdown"}), PATIENCE)
        asked.cancel()
        await until(lambda: devbox.record.id not in engine.isolation.sandboxes(), "the removal")
    finally:
        await engine.aclose()
