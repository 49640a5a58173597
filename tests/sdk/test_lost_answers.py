"""Calls whose first answer is lost on its way: each does its work once, and returns as if nothing had happened."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from runloop_sdk import APIConnectionError, APIStatusError, AsyncDevbox, AsyncRunloopSDK
from tests.local.serving import Service
from tests.sdk.cutting_proxy import CuttingProxy
from tests.sdk.test_resume import connect

pytestmark = pytest.mark.usefixtures("no_backoff")


@asynccontextmanager
async def losing(service: Service, marker: str, *, cuts: int = 1, **options: Any) -> AsyncIterator[AsyncRunloopSDK]:
    """The SDK behind a network that loses the first answers to requests whose first line has `marker`."""
    proxy = CuttingProxy(service.base_url, marker=marker.encode(), cuts=cuts)
    async with proxy.serve() as url, connect(proxy, service, url, **options) as sdk:
        yield sdk
    assert proxy.cut == cuts


def name() -> str:
    return f"N_{uuid.uuid4().hex}"


async def secret(sdk: AsyncRunloopSDK) -> str:
    made = await sdk.secret.create(name(), "hidden")
    return made.name


async def suspended(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    await devbox.suspend()
    await devbox.await_suspended()


async def resumed(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    await suspended(sdk, devbox)
    await devbox.resume()


async def tunnelled(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    tunnel = await devbox.net.enable_tunnel()
    assert (await devbox.get_tunnel()) == tunnel
    await devbox.net.remove_tunnel()
    assert await devbox.get_tunnel() is None


async def ran(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    assert await (await devbox.cmd.exec("echo x >> ran; cat ran")).stdout() == "x\n"


async def ran_in_the_background(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("echo x >> ran; cat ran")
    assert await (await execution.result()).stdout() == "x\n"


async def typed(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("cat", attach_stdin=True)
    await execution.send_stdin("once\n")
    await execution.close_std_in()
    assert await (await execution.result()).stdout() == "once\n"


async def killed(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("sleep 1000")
    await execution.kill()
    assert (await execution.result()).exit_code == 137


async def wrote(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    await devbox.file.write(file_path="f", contents="text")
    await devbox.file.upload(path="g", file=b"bytes")
    assert await devbox.file.read(file_path="f") + await devbox.file.read(file_path="g") == "textbytes"


async def snapshot(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    taken = await devbox.snapshot_disk(name="once")
    assert [view.id async for view in sdk.api.devboxes.disk_snapshots.list(devbox_id=devbox.id)] == [taken.id]
    await taken.delete()


async def controlled(sdk: AsyncRunloopSDK, devbox: AsyncDevbox) -> None:
    tunnel = await sdk.api.devboxes.create_pty_tunnel(devbox.id)
    port = sdk.api.config.headers["host"].rpartition(":")[2]
    headers = {"host": f"13-{tunnel.tunnel_key}.tunnel.localhost:{port}"}
    where = {"base_url": sdk.api.config.base_url, "auth_token": tunnel.auth_token, "extra_headers": headers}
    await sdk.api.pty.connect("main", **where)
    await sdk.api.pty.control("main", action="close", **where)


OnDevbox = Callable[[AsyncRunloopSDK, AsyncDevbox], Awaitable[None]]
ON_DEVBOX: dict[str, OnDevbox] = {
    "/suspend ": suspended,
    "/resume ": resumed,
    "/enable_tunnel ": tunnelled,
    "/remove_tunnel ": tunnelled,
    "/execute ": ran,
    "/execute_async ": ran_in_the_background,
    "/send_std_in ": typed,
    "/kill ": killed,
    "/write_file_contents ": wrote,
    "/upload_file ": wrote,
    "/snapshot_disk_async ": snapshot,
    "disk_snapshots/snp_": snapshot,
    "/create_pty_tunnel ": controlled,
    "/control ": controlled,
}


@pytest.mark.parametrize(("marker", "work"), ON_DEVBOX.items(), ids=[marker.strip("/ ") for marker in ON_DEVBOX])
async def test_work_on_a_devbox_survives_a_lost_answer(
    service: Service, devbox: AsyncDevbox, marker: str, work: OnDevbox
) -> None:
    async with losing(service, marker) as sdk:
        await work(sdk, sdk.devbox.from_id(devbox.id))


async def test_a_shutdown_survives_a_lost_answer(service: Service) -> None:
    async with losing(service, "/shutdown ") as sdk:
        devbox = await sdk.devbox.create()
        assert (await devbox.shutdown()).status == "shutdown"


async def secrets(sdk: AsyncRunloopSDK) -> None:
    made = await sdk.secret.create(name(), "hidden")
    await made.update("other")
    await made.delete()


async def policies(sdk: AsyncRunloopSDK) -> None:
    made = await sdk.network_policy.create(name=name())
    await made.update(description="changed")
    await made.delete()


async def axons(sdk: AsyncRunloopSDK) -> None:
    made = await sdk.api.axons.create(name=name())
    event = {"event_type": "e", "origin": "USER_EVENT", "payload": "{}", "source": "s"}
    assert (await sdk.api.axons.publish(made.id, **event)).sequence == 1
    assert (await sdk.api.axons.publish(made.id, **event)).sequence == 2
    await sdk.api.axons.sql.query(made.id, sql="CREATE TABLE t (a)")
    await sdk.api.axons.sql.query(made.id, sql="INSERT INTO t VALUES (1)")
    assert (await sdk.api.axons.sql.query(made.id, sql="SELECT * FROM t")).rows == [[1]]
    await sdk.api.axons.delete(made.id)


async def keys(sdk: AsyncRunloopSDK) -> None:
    assert (await sdk.api.apikeys.create(name=name())).key_secret


async def objects(sdk: AsyncRunloopSDK) -> None:
    made = await sdk.storage_object.upload_from_text("text", name())
    assert await made.download_as_text() == "text"
    await made.delete()


WITHOUT: dict[str, Callable[[AsyncRunloopSDK], Awaitable[None]]] = {
    "POST /v1/secrets ": secrets,
    "POST /v1/secrets/N_": secrets,
    "POST /v1/network-policies ": policies,
    "POST /v1/network-policies/npol_": policies,
    "POST /v1/axons ": axons,
    "/publish ": axons,
    "/sql/query ": axons,
    "DELETE /v1/axons": axons,
    "POST /v1/apikeys ": keys,
    "POST /v1/objects ": objects,
    "/complete ": objects,
    "POST /v1/objects/obj_": objects,
}


@pytest.mark.parametrize(("marker", "work"), WITHOUT.items(), ids=[marker.strip("/ ") for marker in WITHOUT])
async def test_work_without_a_devbox_survives_a_lost_answer(
    service: Service, marker: str, work: Callable[[AsyncRunloopSDK], Awaitable[None]]
) -> None:
    async with losing(service, marker) as sdk:
        await work(sdk)


# Uploads: nothing that is complete is deleted


async def test_an_upload_whose_completion_is_never_answered_is_found_complete(
    service: Service, sdk: AsyncRunloopSDK
) -> None:
    async with losing(service, "/complete ", cuts=3, max_retries=2) as behind:
        made = await behind.storage_object.upload_from_text("text", name())
        assert made.upload_url is None
    assert (await sdk.storage_object.from_id(made.id).refresh()).state == "READ_ONLY"


class Host:
    """An API that completes an object in its own way; notes what it is asked."""

    def __init__(self, *, complete: int | None, state: str | None) -> None:
        self.complete = complete
        self.state = state
        self.asked: list[str] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        what = request.url.path.rpartition("/")[2]
        self.asked.append(what if request.method == "POST" else request.method)
        state = "UPLOADING"
        if what == "complete":
            if self.complete is None:
                raise httpx.ReadError("cut")
            return httpx.Response(self.complete, json={"message": "no"})
        if request.method == "GET":
            if self.state is None:
                raise httpx.ConnectError("gone")
            state = self.state
        view = {"id": "obj_1", "name": "n", "content_type": "text", "create_time_ms": 0, "state": state}
        return httpx.Response(200, json={**view, "upload_url": "https://bucket.example/x"})

    def sdk(self) -> AsyncRunloopSDK:
        transport = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return AsyncRunloopSDK(bearer_token="k", base_url="https://api.example", max_retries=0, http_client=transport)


LEFT = "was left as it is"
OUTCOMES = {
    "refused, still uploading": (400, "UPLOADING", True, None),
    "refused by a full disk": (507, "UPLOADING", True, None),
    "refused, in an unknown state": (400, None, False, LEFT),
    "lost, still uploading": (None, "UPLOADING", False, LEFT),
    "lost, in an unknown state": (None, None, False, LEFT),
}


@pytest.mark.parametrize(("complete", "state", "deleted", "note"), OUTCOMES.values(), ids=OUTCOMES.keys())
async def test_an_object_is_deleted_only_where_it_is_certain_not_to_be_complete(
    complete: int | None, state: str | None, deleted: bool, note: str | None
) -> None:
    host = Host(complete=complete, state=state)
    with pytest.raises((APIStatusError, APIConnectionError)) as caught:
        await host.sdk().storage_object.upload_from_text("text", "n")
    assert ("delete" in host.asked) == deleted
    notes = " ".join(getattr(caught.value, "__notes__", ()))
    assert (note in notes) if note else notes == ""


@pytest.mark.parametrize("complete", [409, 500, None], ids=["conflict", "server error", "lost"])
async def test_a_complete_object_is_returned_whatever_its_completion_was_answered(complete: int | None) -> None:
    host = Host(complete=complete, state="READ_ONLY")
    made = await host.sdk().storage_object.upload_from_text("text", "n")
    assert made.id == "obj_1"
    assert host.asked == ["objects", "PUT", "complete", "GET"]


async def test_an_upload_that_is_cancelled_while_it_is_completed_deletes_nothing() -> None:
    host, reached = Host(complete=None, state="UPLOADING"), asyncio.Event()
    answer = host.answer

    async def holding(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/complete"):
            host.asked.append("complete")
            reached.set()
            await asyncio.Event().wait()
        return await answer(request)

    host.answer = holding  # type: ignore[method-assign]
    upload = asyncio.create_task(host.sdk().storage_object.upload_from_text("text", "n"))
    await reached.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert host.asked == ["objects", "PUT", "complete"]


async def test_a_default_header_cannot_make_all_requests_one(service: Service, sdk: AsyncRunloopSDK) -> None:
    headers = {"X-Request-Id": "the same"}
    async with AsyncRunloopSDK(
        bearer_token=service.api_key, base_url=service.base_url, default_headers=headers
    ) as traced:
        made = [await traced.api.axons.create(name="one") for _ in range(2)]
    assert made[0].id != made[1].id
