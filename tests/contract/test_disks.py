"""Snapshots and blueprints through the official SDK and through ours, by the same calls."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import runloop_api_client
import runloop_api_client.lib.polling
import runloop_api_client.sdk

import runloop_sdk
from tests.local.building import tar
from tests.local.serving import Service
from tests.starter import FROM

OFFICIAL = (runloop_api_client.sdk.AsyncRunloopSDK, runloop_api_client.lib.polling.PollingConfig(interval_seconds=0.02))
OURS = (runloop_sdk.AsyncRunloopSDK, runloop_sdk.PollingConfig(interval_seconds=0.02))
FAILURES = (runloop_api_client.RunloopError, runloop_sdk.RunloopError)


@pytest.fixture(params=[OFFICIAL, OURS], ids=["official", "ours"])
async def kit(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[tuple[Any, Any]]:
    """An SDK, and a polling configuration for it."""
    make, polling = request.param
    async with make(bearer_token=service.api_key, base_url=service.base_url, max_retries=0) as sdk:
        yield sdk, polling


async def stdout(devbox: Any, command: str) -> str:
    result = await devbox.cmd.exec(command)
    text: str = await result.stdout()
    return text


async def test_snapshots(kit: tuple[Any, Any]) -> None:
    sdk, polling = kit
    async with await sdk.devbox.create() as devbox:
        await devbox.file.write(file_path="/home/user/file", contents="one")
        snapshot = await devbox.snapshot_disk(name="first", metadata={"of": devbox.id}, polling_config=polling)
        info = await snapshot.get_info()
        assert (info.status, info.snapshot.name, info.snapshot.source_devbox_id) == ("complete", "first", devbox.id)
        begun = await devbox.snapshot_disk_async(commit_message="why")
        assert (await begun.await_completed(polling_config=polling)).snapshot.commit_message == "why"
        await devbox.file.write(file_path="/home/user/file", contents="two")
        listed = await sdk.snapshot.list(devbox_id=devbox.id)
        assert [found.id for found in listed] == [begun.id, snapshot.id]
        async with await sdk.devbox.create_from_snapshot(snapshot.id) as copy:
            assert await copy.file.read(file_path="/home/user/file") == "one"
        async with await snapshot.create_devbox(name="again") as copy:
            assert (await copy.get_info()).snapshot_id == snapshot.id
        assert (await snapshot.update(name="renamed")).name == "renamed"
        await snapshot.delete()
        await begun.delete()
        assert (await snapshot.get_info()).status == "deleted"
        assert [found.id for found in await sdk.snapshot.list(devbox_id=devbox.id)] == []
        with pytest.raises(FAILURES, match="deleted"):
            await sdk.devbox.create_from_snapshot(snapshot.id)


async def test_blueprints(kit: tuple[Any, Any]) -> None:
    sdk, polling = kit
    name = f"contract-{type(sdk).__module__.partition('.')[0]}"
    blueprint = await sdk.blueprint.create(
        name=name,
        dockerfile=f"{FROM}\nENV WHO=me\nRUN echo built > /built",
        system_setup_commands=["sudo touch /set-up"],
        file_mounts={"notes": "n"},
        launch_parameters={"keep_alive_time_seconds": 600},
        polling_config=polling,
    )
    info = await blueprint.get_info()
    assert (info.status, info.state, info.name) == ("build_complete", "created", name)
    assert any("this machine's own userland" in line.message for line in (await blueprint.logs()).logs)
    for made in (
        sdk.devbox.create_from_blueprint_name(name),
        sdk.devbox.create_from_blueprint_id(blueprint.id),
        blueprint.create_devbox(),
    ):
        async with await made as devbox:
            assert await stdout(devbox, "cat /built notes; ls /set-up; echo $WHO") == "built\nn/set-up\nme\n"
            assert (await devbox.get_info()).blueprint_id == blueprint.id
    assert [found.id for found in await sdk.blueprint.list(name=name)] == [blueprint.id]
    await blueprint.delete()
    assert (await blueprint.get_info()).state == "deleted"


async def test_failed_builds_raise(kit: tuple[Any, Any]) -> None:
    sdk, polling = kit
    with pytest.raises(FAILURES, match="fail"):
        await sdk.blueprint.create(name="contract-broken", dockerfile=f"{FROM}\nRUN false", polling_config=polling)
    with pytest.raises(FAILURES, match="line 2"):
        await sdk.blueprint.create(name="contract-broken", dockerfile=f"{FROM}\nNONSENSE y", polling_config=polling)


async def test_an_object_as_build_context(kit: tuple[Any, Any], tmp_path: Path) -> None:
    sdk, polling = kit
    said_by = type(sdk).__module__
    files = {"app/main.py": f"print('ran for {said_by}')\n", ".dockerignore": "*.secret\n", "app.secret": "no"}
    data = tar(tmp_path / "context", files, "w:gz").read_bytes()
    context = await sdk.storage_object.upload_from_bytes(data, name="context.tgz", content_type="tgz")
    blueprint = await sdk.blueprint.create(
        name="contract-context",
        dockerfile=f"{FROM}\nWORKDIR /srv\nCOPY . .\nRUN python3 app/main.py && ls -a",
        build_context=context.as_build_context(),
        polling_config=polling,
    )
    said = [line.message for line in (await blueprint.logs()).logs]
    assert f"ran for {said_by}" in said
    assert "app.secret" not in said
    await blueprint.delete()
