"""A client that is closed while calls wait: each raises at once, and says so; a command that runs goes on."""

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from runloop_sdk import APIConnectionError, AsyncDevbox, AsyncRunloopSDK, RunloopError, StreamError
from runloop_sdk import _http as http
from runloop_sdk._messages import TransportTimeoutError
from tests.local.serving import Service
from tests.waiting import PATIENCE, until


async def run(sdk: AsyncRunloopSDK, box: Any) -> object:
    return await box.cmd.exec("echo up; sleep 1000")


async def run_with_a_callback(sdk: AsyncRunloopSDK, box: Any) -> object:
    return await box.cmd.exec("echo up; sleep 1000", stdout=lambda _: None)


async def wait_for_a_result(sdk: AsyncRunloopSDK, box: Any) -> object:
    return await (await box.cmd.exec_async("echo up; sleep 1000")).result()


async def follow_output(sdk: AsyncRunloopSDK, box: Any) -> object:
    return [chunk async for chunk in await box.cmd.exec_async("echo up; sleep 1000")]


async def wait_in_a_shell(sdk: AsyncRunloopSDK, box: Any) -> object:
    return await box.shell("s").exec("echo up; sleep 1000")


async def create_a_devbox(sdk: AsyncRunloopSDK, box: Any) -> object:
    await box.cmd.exec_async("echo up")
    return await sdk.devbox.create(launch_parameters={"launch_commands": ["sleep 3"]})


async def download_without_end(sdk: AsyncRunloopSDK, box: Any) -> object:
    await box.cmd.exec_async("echo up")
    return await box.file.download(path="/dev/zero")


CALLS = [
    run,
    run_with_a_callback,
    wait_for_a_result,
    follow_output,
    wait_in_a_shell,
    create_a_devbox,
    download_without_end,
]


@pytest.fixture
async def own(service: Service) -> AsyncIterator[AsyncRunloopSDK]:
    sdk = AsyncRunloopSDK(bearer_token=service.api_key, base_url=service.base_url)
    yield sdk
    await sdk.aclose()


async def printed(sdk: AsyncRunloopSDK, devbox: str) -> None:
    """A command of the devbox has printed something, so what waits for it does wait."""

    async def is_there() -> bool:
        return any(log.cmd for log in (await sdk.api.devboxes.logs.list(devbox)).logs)

    await until(is_there, "a command in the logs")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_a_call_that_waits_raises_at_once(
    sdk: AsyncRunloopSDK,
    devbox: AsyncDevbox,
    own: AsyncRunloopSDK,
    call: Callable[[AsyncRunloopSDK, Any], Coroutine[Any, Any, object]],
) -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    mine = own.devbox.from_id(devbox.id)
    waiting = asyncio.create_task(call(own, mine))
    await printed(sdk, devbox.id)
    await own.aclose()
    with pytest.raises(RunloopError) as raised:
        await asyncio.wait_for(waiting, PATIENCE)
    # Between two of its requests, a call finds the client closed.
    assert re.match("This client (was closed before|is closed)", str(raised.value))
    assert not raised.value.retryable
    if call in (run, run_with_a_callback, wait_in_a_shell):
        assert any("The command may go on: devbox.execution(" in note for note in raised.value.__notes__)
    del waiting, raised
    gc.collect()
    await asyncio.sleep(0)
    assert said == []


async def test_a_call_that_pauses_before_a_retry_raises_at_once(
    own: AsyncRunloopSDK, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runloop_sdk._retry.FIRST_DELAY", 1000.0)
    monkeypatch.setattr("runloop_sdk._retry.LONGEST_DELAY", 1000.0)
    unreachable = AsyncRunloopSDK(bearer_token="k", base_url="http://127.0.0.1:1")
    waiting = asyncio.create_task(unreachable.devbox.from_id("dbx_1").get_info())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await unreachable.aclose()
    with pytest.raises(APIConnectionError, match="was closed before"):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_a_call_whose_connection_is_being_opened_raises_once_it_is(
    own: AsyncRunloopSDK, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, dialing, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    connect: Any = loop.create_connection

    async def slowly(*arguments: Any, **options: Any) -> Any:
        dialing.set()
        await go_on.wait()
        return await connect(*arguments, **options)

    monkeypatch.setattr(loop, "create_connection", slowly)
    waiting = asyncio.create_task(own.devbox.from_id("dbx_1").get_info())
    await dialing.wait()
    await own.aclose()
    go_on.set()
    with pytest.raises(APIConnectionError, match="was closed before"):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_a_terminal_ends_with_its_client(sdk: AsyncRunloopSDK, devbox: AsyncDevbox, own: AsyncRunloopSDK) -> None:
    async def read() -> None:
        async with own.devbox.from_id(devbox.id).pty("kept") as terminal:
            attached.set()
            async for _ in terminal:
                pass

    attached = asyncio.Event()
    reading = asyncio.create_task(read())
    await attached.wait()
    await own.aclose()
    with pytest.raises(StreamError, match="'kept'"):
        await asyncio.wait_for(reading, PATIENCE)


class Connection:
    """What dialling gives."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


async def steps(count: int) -> Any:
    """Something that this loop has to come back to so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
    return Connection()


async def test_a_loop_that_was_busy_takes_no_connection_for_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_BUSY", 0.05)
    asyncio.get_running_loop().call_soon(time.sleep, 0.2)
    assert isinstance(await http._in_time(steps(5), 0.01), Connection)


async def test_a_connection_that_does_not_come_is_too_late() -> None:
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def connecting() -> Any:
        await never

    with pytest.raises(TransportTimeoutError):
        await http._in_time(connecting(), 0.01)
    assert never.cancelled()


async def test_a_thousand_calls_dial_a_few_at_a_time(sdk: AsyncRunloopSDK, monkeypatch: pytest.MonkeyPatch) -> None:
    dialling, most = 0, 0
    dial = http.DirectTransport._connected

    async def counted(self: http.DirectTransport, origin: http.Origin) -> http._Connection:
        nonlocal dialling, most
        dialling += 1
        most = max(most, dialling)
        try:
            return await dial(self, origin)
        finally:
            dialling -= 1

    monkeypatch.setattr(http.DirectTransport, "_connected", counted)
    await asyncio.gather(*(sdk.api.accounts.me() for _ in range(200)))
    assert 1 < most <= 32
