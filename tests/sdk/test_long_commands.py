"""Commands that outlive many times what a stream may be silent for, and every connection to their output.

Time is sped up: a stream counts as quiet after a fifth of a second, of which the commands last fifteen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from runloop_sdk import (
    APIConnectionError,
    AsyncCommandInterface,
    AsyncDevbox,
    AsyncNamedShell,
    AsyncRunloopSDK,
    PollingConfig,
    PollingTimeoutError,
    RunloopError,
    StreamError,
)
from tests.local.serving import Service, serving
from tests.sdk.cutting_proxy import CuttingProxy
from tests.sdk.raw_server import RawServer, whole
from tests.sdk.raw_server import serving as serving_raw
from tests.sdk.test_command import count_processes, wait_until_running
from tests.waiting import until

RETRIES = 2
LINES = 30
EACH = "for n in $(seq {}); do {}; sleep 0.1; done; exit 3"
PATTERNS = {
    "stdout": EACH.format(LINES, "echo $n"),
    "stderr": EACH.format(LINES, "echo $n >&2"),
    "alternating": EACH.format(LINES // 2, "echo $n; sleep 0.1; echo $n >&2"),
    "silent": "echo begun; sleep 3; echo ended >&2; exit 3",
}
EXPECTED = {
    "stdout": ["".join(f"{n}\n" for n in range(1, LINES + 1)), ""],
    "stderr": ["", "".join(f"{n}\n" for n in range(1, LINES + 1))],
    "alternating": ["".join(f"{n}\n" for n in range(1, LINES // 2 + 1))] * 2,
    "silent": ["begun\n", "ended\n"],
}


@pytest.fixture(scope="module", params=["0.05", "0"], ids=["heartbeats", "no heartbeats"])
def beating(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that sends a heartbeat four times in the time that a stream may be silent, and one that sends none."""
    with serving(tmp_path_factory.mktemp("service") / "data", "--heartbeat", request.param) as running:
        yield running


@pytest.fixture
def soon_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_sdk._config.STREAM_TIMEOUT", 0.2)


def connect(proxy: CuttingProxy, service: Service, url: str) -> AsyncRunloopSDK:
    headers = proxy.headers
    return AsyncRunloopSDK(bearer_token=service.api_key, base_url=url, default_headers=headers, max_retries=RETRIES)


async def with_callbacks(devbox: AsyncDevbox, command: str) -> tuple[list[str], int | None]:
    return await heard(devbox.cmd, command)


async def heard(runner: AsyncCommandInterface | AsyncNamedShell, command: str) -> tuple[list[str], int | None]:
    out: list[str] = []
    err: list[str] = []
    result = await runner.exec(command, stdout=out.append, stderr=err.append)
    return ["".join(out), "".join(err)], result.exit_code


async def in_one_request(devbox: AsyncDevbox, command: str) -> tuple[list[str], int | None]:
    result = await devbox.cmd.exec(command)
    return [await result.stdout(), await result.stderr()], result.exit_code


async def by_iteration(devbox: AsyncDevbox, command: str) -> tuple[list[str], int | None]:
    execution = await devbox.cmd.exec_async(command)
    chunks = [chunk async for chunk in execution]
    texts = ["".join(chunk.text for chunk in chunks if chunk.stream == name) for name in ("stdout", "stderr")]
    return texts, (await execution.result()).exit_code


async def in_a_shell(devbox: AsyncDevbox, command: str) -> tuple[list[str], int | None]:
    return await heard(devbox.shell("long"), command)


WAYS = {way.__name__: way for way in (with_callbacks, in_one_request, by_iteration, in_a_shell)}


@pytest.mark.usefixtures("soon_quiet", "no_backoff")
@pytest.mark.parametrize("pattern", PATTERNS)
async def test_a_command_runs_to_its_end_however_quiet_its_streams_are(beating: Service, pattern: str) -> None:
    proxy = CuttingProxy(beating.base_url)
    async with proxy.serve() as url, connect(proxy, beating, url) as sdk, await sdk.devbox.create() as devbox:
        outcomes = await asyncio.gather(*(way(devbox, PATTERNS[pattern]) for way in WAYS.values()))
    assert dict(zip(WAYS, outcomes, strict=True)) == dict.fromkeys(WAYS, (EXPECTED[pattern], 3))
    assert proxy.asked(b"/kill ") == 0


@pytest.mark.usefixtures("no_backoff")
async def test_streams_that_are_cut_again_and_again_are_resumed_for_as_long_as_the_command_runs(
    service: Service,
) -> None:
    proxy = CuttingProxy(service.base_url, cuts=1_000_000)
    async with proxy.serve() as url, connect(proxy, service, url) as sdk, await sdk.devbox.create() as devbox:
        execution = await devbox.cmd.exec_async("echo begun; until test -e over; do sleep 0.05; done; echo ended")
        reading = asyncio.create_task(anext(aiter(execution)))
        await until(lambda: proxy.cut >= 50 * RETRIES)
        assert not reading.done()
        proxy.cuts = 0
        assert (await reading).text == "begun\n"
        await devbox.cmd.exec("touch over")
        assert await (await execution.result()).stdout() == "begun\nended\n"
    assert proxy.asked(b"/kill ") == 0


LOST = {
    "callbacks": ({"stdout": lambda _: None}, StreamError),
    "one request": ({}, APIConnectionError),
}


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(("options", "error"), LOST.values(), ids=LOST)
async def test_a_connection_that_is_lost_raises_and_kills_nothing(
    service: Service, options: dict[str, Any], error: type[Exception]
) -> None:
    proxy = CuttingProxy(service.base_url)
    async with proxy.serve() as url, connect(proxy, service, url) as sdk, await sdk.devbox.create() as devbox:
        running = asyncio.create_task(devbox.cmd.exec("echo begun; exec sleep 1013", **options))
        await wait_until_running(devbox, "sleep 1013")
        proxy.go_down()
        with pytest.raises(RunloopError) as caught:
            await running
        assert isinstance(caught.value, error)
        proxy.down = False
        assert proxy.asked(b"/kill ") == 0
        assert await count_processes(devbox, "sleep 1013") == 1
        (note,) = caught.value.__notes__
        execution = devbox.execution(note.split("'")[1])
        await execution.kill()
        assert await (await execution.result()).stdout() == "begun\n"


@pytest.mark.usefixtures("no_backoff")
async def test_how_long_the_output_is_lost_is_told(service: Service) -> None:
    proxy = CuttingProxy(service.base_url)
    async with proxy.serve() as url:
        options = {"default_headers": proxy.headers, "max_retries": 1_000_000}
        async with AsyncRunloopSDK(bearer_token=service.api_key, base_url=url, **options) as sdk:
            devbox = await sdk.devbox.create()
            execution = await devbox.cmd.exec_async("echo begun; read line; echo $line", attach_stdin=True)
            output = execution.output()
            assert (await anext(output)).text == "begun\n"
            assert execution.output_lost_for == 0
            following = asyncio.create_task(anext(output))
            proxy.go_down()
            await until(lambda: execution.output_lost_for > 0.3)
            proxy.down = False
            await until(lambda: execution.output_lost_for == 0)
            await execution.send_stdin("late\n")
            assert (await following).text == "late\n"
            await devbox.shutdown()


VIEW = b'{"devbox_id": "dbx_1", "execution_id": "exec_1", "status": "running"}'
NOT_FOUND = whole(b'{"message": "no such execution"}', status=b"404 Not Found")
HELD = whole(b'{"message": "still running"}', status=b"408 Request Timeout")


async def _by_deadline(devbox: AsyncDevbox) -> None:
    await devbox.cmd.exec("sleep 100", attach_stdin=True, polling_config=PollingConfig(timeout_seconds=0.05))


async def _by_asyncio(devbox: AsyncDevbox) -> None:
    async with asyncio.timeout(0.05):
        await devbox.cmd.exec("sleep 100", attach_stdin=True)


async def _of_a_handle(devbox: AsyncDevbox) -> None:
    await devbox.execution("exec_1").result(polling_config=PollingConfig(timeout_seconds=0.05))


TIMEOUTS = {
    "the deadline of exec": (_by_deadline, PollingTimeoutError),
    "asyncio's own": (_by_asyncio, TimeoutError),
    "a handle's deadline": (_of_a_handle, PollingTimeoutError),
}


@pytest.mark.parametrize(("wait", "error"), TIMEOUTS.values(), ids=TIMEOUTS)
@pytest.mark.parametrize("refusal", [NOT_FOUND, whole(b"", status=b"500 Error")], ids=["404", "500"])
async def test_what_comes_of_the_clean_up_does_not_hide_a_timeout(
    wait: Callable[[AsyncDevbox], Awaitable[None]], error: type[Exception], refusal: bytes, no_backoff: None
) -> None:
    """The service has forgotten the command when its time is up: waits, looks and the kill are refused."""
    starts = [] if wait is _of_a_handle else [whole(VIEW)]
    server = RawServer(*starts, *[HELD] * 3, refusal, delay=0.03)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="k", base_url=url, max_retries=1) as sdk:
        with pytest.raises(error):
            await wait(sdk.devbox.from_id("dbx_1"))


async def test_a_service_that_answers_no_more_does_not_hide_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_sdk._polling._GRACE", 0.05)
    monkeypatch.setattr("runloop_sdk._polling._PEEK_SECONDS", 0.05)
    server = RawServer(b"", stays=True)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="k", base_url=url) as sdk:
        with pytest.raises(PollingTimeoutError):
            await _of_a_handle(sdk.devbox.from_id("dbx_1"))


async def test_a_stream_that_ends_at_once_each_time_is_not_asked_for_in_a_hurry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a service that holds no response at all would have it."""
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 0.1)
    monkeypatch.setattr("runloop_sdk._retry.LONGEST_DELAY", 0.1)
    held = whole(b'event: error\ndata: {"code": 408}\n\n')
    asked: list[bool] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(b"stream_std" in head)
            writer.write(held if asked[-1] else whole(VIEW))

    began = asyncio.get_running_loop().time()
    async with serving_raw(answer) as url, AsyncRunloopSDK(bearer_token="k", base_url=url, max_retries=2) as sdk:
        output = sdk.devbox.from_id("dbx_1").execution("exec_1").output(["stdout"])
        reading = asyncio.create_task(anext(output))
        await until(lambda: sum(asked) >= 10)
        assert not reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert (asyncio.get_running_loop().time() - began) / sum(asked) > 0.05
