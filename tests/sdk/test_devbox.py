"""Devboxes on the real embedded service."""

import asyncio

import pytest

from runloop_sdk import (
    AsyncDevbox,
    AsyncRunloopSDK,
    NotFoundError,
    PollingConfig,
    PollingTimeoutError,
    UnexpectedStateError,
)
from tests.local.serving import Service


async def test_created_devbox_runs_and_knows_its_name(sdk: AsyncRunloopSDK) -> None:
    async with await sdk.devbox.create(name="apollo", metadata={"team": "blue"}) as devbox:
        info = await devbox.get_info()
        assert (info.id, info.name, info.status, info.metadata) == (devbox.id, "apollo", "running", {"team": "blue"})
    assert (await devbox.get_info()).status == "shutdown"


async def test_suspend_and_resume_keep_the_disk(sdk: AsyncRunloopSDK) -> None:
    async with await sdk.devbox.create() as devbox:
        await devbox.file.write(file_path="note.txt", contents="still here")
        await devbox.suspend()
        assert (await devbox.await_suspended()).status == "suspended"
        assert (await devbox.resume()).status == "running"
        assert await devbox.file.read(file_path="note.txt") == "still here"


async def test_waiting_for_what_can_not_come_says_why(sdk: AsyncRunloopSDK) -> None:
    devbox = await sdk.devbox.create()
    await devbox.shutdown()
    with pytest.raises(UnexpectedStateError, match="is shutdown") as caught:
        await devbox.await_running()
    assert caught.value.view.id == devbox.id


async def test_wait_ends_at_the_callers_deadline(devbox: AsyncDevbox) -> None:
    with pytest.raises(PollingTimeoutError, match=r"0\.2 s") as caught:
        await devbox.await_suspended(polling_config=PollingConfig(timeout_seconds=0.2))
    assert caught.value.last.status == "running"


async def test_body_that_fails_still_shuts_the_devbox_down(sdk: AsyncRunloopSDK) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with await sdk.devbox.create() as devbox:
            raise ValueError("mine")
    assert (await devbox.get_info()).status == "shutdown"


async def test_cancelled_create_leaves_no_devbox(sdk: AsyncRunloopSDK) -> None:
    for delay in (0.0, 0.001, 0.003, 0.01):
        name = f"cancelled-{delay}"
        task = asyncio.create_task(sdk.devbox.create(name=name, launch_parameters={"launch_commands": ["sleep 30"]}))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = [view async for view in sdk.api.devboxes.list(search=name) if view.status not in ("shutdown", "failure")]
        assert left == []


async def test_list_awaited_is_a_list_and_walked_has_every_page(sdk: AsyncRunloopSDK) -> None:
    devboxes = await asyncio.gather(*(sdk.devbox.create(name=f"listed-{n}") for n in range(5)))
    assert len(await sdk.devbox.list(limit=2)) == 2
    walked = [devbox.id async for devbox in sdk.devbox.list(limit=2, status="running")]
    assert {devbox.id for devbox in devboxes} <= set(walked)
    assert len(walked) == len(set(walked))
    page = await sdk.api.devboxes.list(limit=2, status="running")
    assert page.has_more
    assert page.total_count is not None
    assert page.total_count >= 5
    await asyncio.gather(*(devbox.shutdown() for devbox in devboxes))


async def test_unknown_devbox_is_not_found(sdk: AsyncRunloopSDK) -> None:
    with pytest.raises(NotFoundError) as caught:
        await sdk.devbox.from_id("dbx_none").get_info()
    assert (caught.value.status_code, caught.value.method, caught.value.path) == (404, "GET", "/v1/devboxes/dbx_none")
    assert caught.value.request_id


async def test_id_with_a_slash_stays_one_part_of_the_path(sdk: AsyncRunloopSDK) -> None:
    with pytest.raises(NotFoundError):
        await sdk.devbox.from_id("../devboxes").get_info()


async def test_account_answers_for_the_key(sdk: AsyncRunloopSDK) -> None:
    assert (await sdk.api.accounts.me()).id


async def test_client_can_be_used_again_from_two_tasks(service: Service) -> None:
    async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url) as sdk:
        pages = await asyncio.gather(*(sdk.api.devboxes.list(limit=1)._fetch(None) for _ in range(20)))
    assert len(pages) == 20
