"""Devboxes of a kernel: what is asked of the API for them, and how a service learns that the kernel is there."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.connection import Connection
from runloop_jupyter.kernel.keep_alive import ClockReading, KeepAlive
from runloop_jupyter.kernel.lock_presence import LockPresence
from runloop_jupyter.kernel.owned import DEFAULT_KEEP_ALIVE, UNMONITORED_KEEP_ALIVE, OwnedDevboxes, _Owned, terms
from runloop_jupyter.kernel.presence import Lifetime
from runloop_jupyter.session import Session
from runloop_sdk import APIStatusError, AsyncRunloopSDK
from tests.local.serving import Service, serving
from tests.sdk.raw_server import RawServer, whole
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OWN = {"keep_alive_time_seconds": 60}
LONG, SHORT = DEFAULT_KEEP_ALIVE, UNMONITORED_KEEP_ALIVE
IDLE = {"idle_time_seconds": 60, "on_idle": "suspend"}


@pytest.mark.parametrize(
    ("launch", "is_monitored", "keep", "keep_alive", "asked", "lifetime"),
    [
        pytest.param({}, True, False, None, LONG, Lifetime(True, LONG), id="seen"),
        pytest.param({}, True, True, None, LONG, Lifetime(False, LONG), id="seen and kept"),
        pytest.param({}, False, False, None, SHORT, Lifetime(True, SHORT), id="not seen: short"),
        pytest.param({}, False, True, None, LONG, Lifetime(False, LONG), id="not seen and kept: long, it is to stay"),
        pytest.param({}, True, False, 7200.0, 7200, Lifetime(True, 7200.0), id="seen, a time was given"),
        pytest.param({}, False, False, 7200.0, 7200, Lifetime(True, 7200.0), id="not seen, a time was given"),
        pytest.param(OWN, True, False, 7200.0, 60, Lifetime(True, None), id="seen, the request says itself"),
        pytest.param(OWN, False, True, None, 60, Lifetime(False, None), id="not seen, the request says itself"),
        pytest.param({"after_idle": IDLE}, False, False, None, None, Lifetime(True, None), id="ends when idle"),
        pytest.param({"lifecycle": {"after_idle": IDLE}}, True, False, None, None, Lifetime(True, None), id="newer"),
        pytest.param({"lifecycle": {}}, True, False, None, LONG, Lifetime(True, LONG), id="another lifecycle"),
        pytest.param(None, True, False, None, LONG, Lifetime(True, LONG), id="None is not given"),
    ],
)
def test_terms(
    launch: Mapping[str, Any] | None,
    is_monitored: bool,
    keep: bool,
    keep_alive: float | None,
    asked: float | None,
    lifetime: Lifetime,
) -> None:
    params = {"name": "x", "launch_parameters": launch}
    made = terms(params, is_monitored=is_monitored, keep=keep, keep_alive=keep_alive)
    assert made.lifetime == lifetime
    assert made.params["name"] == "x"
    assert made.params["launch_parameters"].get("keep_alive_time_seconds") == asked
    assert (launch or {}).items() <= made.params["launch_parameters"].items()
    assert params == {"name": "x", "launch_parameters": launch}


@pytest.mark.parametrize(
    ("lifetime", "header"),
    [
        (Lifetime(True, 60.0), "krn_1"),
        (Lifetime(False, 60.0), "krn_1; ends=no"),
        (Lifetime(True, None), "krn_1; holds=no"),
        (Lifetime(False, None), None),
    ],
)
def test_the_service_is_told_how_a_devbox_belongs_to_the_kernel(lifetime: Lifetime, header: str | None) -> None:
    presence = LockPresence(Connection("http://127.0.0.1:1", "key"), "krn_1", -1)
    assert presence.headers(lifetime).get("x-runloop-kernel") == header


@pytest.mark.parametrize(
    ("monotonic", "wall", "passed"),
    [
        pytest.param(10, 10, 10, id="both go on"),
        pytest.param(1, 3600, 3600, id="the machine slept"),
        pytest.param(10, -3600, 10, id="the clock was set back"),
    ],
)
def test_time_passes_while_a_machine_sleeps(monotonic: float, wall: float, passed: float) -> None:
    assert ClockReading(100 + monotonic, 1e9 + wall).since(ClockReading(100, 1e9)) == passed


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that cannot see kernels."""
    data = tmp_path_factory.mktemp("cloud") / "data"
    data.mkdir()
    (data / "kernels").touch()  # where a folder should be
    with serving(data) as running:
        yield running


def connection_to(service: Service) -> Connection:
    return Connection(service.base_url, service.api_key)


def client(service: Service) -> AsyncRunloopSDK:
    return AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url)


async def made(owned: OwnedDevboxes, service: Service, *, keep: bool = False, keep_alive: float | None = None) -> str:
    """The id of a running devbox of this process."""
    async with client(service) as sdk:
        create = sdk.api.devboxes.create_and_await_running
        view = await owned.create(connection_to(service), create, {}, keep=keep, keep_alive=keep_alive)
        return view.id


async def status(service: Service, devbox: str) -> str:
    async with client(service) as sdk:
        return str((await sdk.devbox.from_id(devbox).get_info()).status)


async def test_leaving_ends_what_is_not_kept_whether_the_service_sees_the_kernel_or_not(
    service: Service, cloud: Service
) -> None:
    for each in (service, cloud):
        owned = OwnedDevboxes()
        ending, kept = await made(owned, each), await made(owned, each, keep=True)
        assert list(owned) == [ending, kept]
        assert (owned.outlives_kernel(ending), owned.outlives_kernel(kept), owned.outlives_kernel("another")) == (
            False,
            True,
            True,
        )
        assert owned.is_held_alive(ending) is (each is service)
        await owned.shut_down()
        assert (await status(each, ending), await status(each, kept)) == ("shutdown", "running")
        await owned.shut_down()
        async with client(each) as sdk:
            await sdk.devbox.from_id(kept).shutdown()


async def test_a_forked_child_ends_nothing(cloud: Service) -> None:
    owned = OwnedDevboxes()
    devbox = await made(owned, cloud)
    child = os.fork()
    if not child:
        owned.end()
        os._exit(0 if devbox in owned else 1)
    assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
    assert await status(cloud, devbox) == "running"
    owned.end()
    assert await status(cloud, devbox) == "shutdown"


async def test_a_devbox_that_ended_otherwise_is_renewed_no_more(cloud: Service) -> None:
    owned = OwnedDevboxes()
    devbox, other = await made(owned, cloud, keep_alive=1), await made(owned, cloud, keep_alive=1)
    (renewals,) = owned._presences.values()
    assert isinstance(renewals, KeepAlive)
    async with client(cloud) as sdk:
        await sdk.devbox.from_id(devbox).shutdown()
    await until(lambda: list(renewals._renewals) == [other], "the look at the one that ended")
    assert owned.renewed_at(other) > owned.renewed_at("another") == 0
    owned.drop(other)
    await until(lambda: not renewals._renewals, "the end of renewals")
    await owned.shut_down()
    await until(lambda: not renewals._thread.is_alive(), "the thread's end")


@pytest.mark.parametrize(
    ("answer", "is_soon"),
    [
        pytest.param(b"200 OK", False, id="renewed"),
        pytest.param(b"500 Internal Server Error", True, id="the service has a problem"),
        pytest.param(b"503 Service Unavailable", True, id="the service is away"),
        pytest.param(b"429 Too Many Requests", True, id="too many"),
        pytest.param(b"403 Forbidden", False, id="it may not be: asking more often does not help"),
    ],
)
async def test_a_renewal_that_failed_is_tried_again_before_the_time_is_up(answer: bytes, is_soon: bool) -> None:
    server = RawServer(whole(b"{}", status=answer, headers=b"retry-after-ms: 1\r\n"))
    async with server.serve() as url:
        renewals = KeepAlive(Connection(url, "key"))
        renewals.add("dbx_1", Lifetime(True, 600.0))
        await until(lambda: "dbx_1" in renewals._renewals and renewals._renewals["dbx_1"].delay, "the first renewal")
        assert (renewals._renewals["dbx_1"].delay < 30) is is_soon
        await renewals.shut_down([])


async def test_a_devbox_is_noted_for_the_service_that_it_is_on(service: Service, cloud: Service) -> None:
    environ = {"RUNLOOP_API_KEY": service.api_key, "RUNLOOP_BASE_URL": service.base_url}
    session = Session(environ, say=lambda text: None)
    sdk = await session.user_sdk()
    environ |= {"RUNLOOP_API_KEY": cloud.api_key, "RUNLOOP_BASE_URL": cloud.base_url}
    await session.client.sdk()
    view = await sdk.api.devboxes.create()
    assert list(session.kernel_registry.created(service.base_url)) == [view.id]
    assert session.kernel_registry.created(cloud.base_url) == {}
    await session.close()


async def test_another_service_at_the_same_address_gets_to_know_the_kernel(tmp_path: Path) -> None:
    owned = OwnedDevboxes()
    with serving(tmp_path / "first") as first:
        await made(owned, first)
    port = first.base_url.rpartition(":")[2]
    with serving(tmp_path / "second", "--port", port) as second:
        devbox = await made(owned, second)
        (known,) = (await _kernels(second)).values()
        assert known == [devbox]
        await owned.shut_down()
        assert await status(second, devbox) == "shutdown"


async def _kernels(service: Service) -> dict[str, list[str]]:
    async with client(service) as sdk:
        found = (await sdk.api.get_json("/local/kernels"))["kernels"]
    return {kernel["id"]: kernel["devboxes"] for kernel in found}


async def test_many_at_once_make_one_kernel(service: Service) -> None:
    before = await _kernels(service)
    owned = OwnedDevboxes()
    ids = await asyncio.gather(*(made(owned, service) for _ in range(4)))
    new = {kernel: boxes for kernel, boxes in (await _kernels(service)).items() if kernel not in before}
    assert [sorted(boxes) for boxes in new.values()] == [sorted(ids)]
    await owned.shut_down()


async def test_what_the_service_refuses_otherwise_is_raised(service: Service) -> None:
    owned = OwnedDevboxes()
    async with client(service) as sdk:
        with pytest.raises(APIStatusError, match="snp_none"):
            await owned.create(
                connection_to(service),
                sdk.api.devboxes.create,
                {"snapshot_id": "snp_none"},
                keep=False,
                keep_alive=None,
            )
    assert list(owned) == []
    await owned.shut_down()


def test_the_end_of_a_kernel_does_not_wait_for_a_service_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        renewals = KeepAlive(Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", "key"))
        owned = OwnedDevboxes()
        for number in range(20):
            owned._owned[f"dbx_{number}"] = _Owned(renewals, Lifetime(True, 60.0))
        owned.end()  # nobody ever answers: that it returns is what is tested
        silent.settimeout(PATIENCE)
        asking, _ = silent.accept()
        with asking:
            assert asking.recv(65536).startswith(b"POST /v1/devboxes/dbx_")
