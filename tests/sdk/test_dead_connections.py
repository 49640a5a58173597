"""Commands whose starting request goes out, or whose answer comes, on a connection that is dead without a reset.

Time is sped up: an answer counts as lost a fifth of a second after the longest that its command may be waited for.
"""

import asyncio
import re
from typing import Any

import pytest

from runloop_sdk import APITimeoutError, AsyncDevbox, AsyncRunloopSDK
from tests.local.serving import Service
from tests.sdk.cutting_proxy import CuttingProxy
from tests.sdk.raw_server import RawServer, whole
from tests.sdk.test_axon_streams import behind
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("no_backoff", "soon_lost")
_LOOK = re.compile(rb"GET /v1/devboxes/[^/]+/executions/[^/ ]+ ")
COMMAND = "echo x >> ran; until test -e over; do sleep 0.02; done; cat ran"
OPTIONS: dict[str, dict[str, Any]] = {"one request": {}, "callbacks": {"stdout": lambda _: None}}
with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@pytest.fixture
def soon_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_sdk._config.STREAM_TIMEOUT", 0.2)
    monkeypatch.setattr("runloop_sdk.api.devboxes.EXECUTE_SILENCE", 0.2)
    monkeypatch.setattr("runloop_sdk.resources.command.OPTIMISTIC_SECONDS", 1)


@with_options
async def test_a_command_whose_answer_is_lost_is_found_by_its_id(
    service: Service, devbox: AsyncDevbox, options: dict[str, Any]
) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service, timeout=1.0) as sdk:
        running = asyncio.create_task(sdk.devbox.from_id(devbox.id).cmd.exec(COMMAND, **options))
        await devbox.cmd.exec("until test -e ran; do sleep 0.02; done")
        proxy.fall_silent()
        await until(lambda: any(map(_LOOK.match, proxy.requests)), "a look at the command by its id")
        await devbox.cmd.exec("touch over")
        assert await (await running).stdout() == "x\n"
    assert proxy.asked(b"/execute ") == 1
    assert proxy.asked(b"/kill ") == 0


@with_options
async def test_a_command_whose_request_is_lost_is_sent_again_and_runs_once(
    service: Service, devbox: AsyncDevbox, options: dict[str, Any]
) -> None:
    proxy = CuttingProxy(service.base_url)
    await devbox.cmd.exec("touch over")
    async with behind(proxy, service, timeout=1.0) as sdk:
        await sdk.devbox.from_id(devbox.id).get_info()  # leaves a connection to send it on
        proxy.fall_silent()
        result = await sdk.devbox.from_id(devbox.id).cmd.exec(COMMAND, **options)
        assert await result.stdout() == "x\n"
    assert proxy.asked(b"/execute ") == 1
    assert any(map(_LOOK.match, proxy.requests))


async def test_a_service_that_is_silent_for_good_is_told_of_and_the_command_named(
    service: Service, devbox: AsyncDevbox
) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service, timeout=1.0) as sdk:
        running = asyncio.create_task(sdk.devbox.from_id(devbox.id).cmd.exec(COMMAND))
        await devbox.cmd.exec("until test -e ran; do sleep 0.02; done")
        proxy.silent = True
        proxy.fall_silent()
        with pytest.raises(APITimeoutError) as caught:
            await running
    (note,) = caught.value.__notes__
    assert (await devbox.execution(note.split("'")[1]).get_state()).status == "running"


async def test_an_unknown_command_is_sent_again_as_often_as_other_requests() -> None:
    heads = []

    class Deaf(RawServer):
        """Never answers a command, and knows none."""

        async def _take(self, reader: asyncio.StreamReader) -> None:
            await super()._take(reader)
            heads.append(self.heads[-1])
            if "/execute " in self.heads[-1]:
                await reader.read(1)

    server = Deaf(whole(b'{"message": "no such execution"}', status=b"404 Not Found"))
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="k", base_url=url, max_retries=2) as sdk:
        with pytest.raises(APITimeoutError):
            await sdk.api.devboxes.execute("dbx_1", command="ls", optimistic_timeout=0)
    sent = [head for head in heads if "/execute " in head]
    assert len(sent) == 3
    assert len({head.lower().partition("x-request-id: ")[2].split("\r")[0] for head in sent}) == 1
