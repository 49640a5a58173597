"""Streams of axons through silence, cuts, dead connections and restarts: each event once, in order.

Time is sped up: a stream counts as quiet after a fifth of a second, long before the service's heartbeat.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runloop_sdk import APIConnectionError, AsyncAxon, AsyncRunloopSDK, NotFoundError, StreamError
from tests.local.serving import Service, serving
from tests.sdk.cutting_proxy import CuttingProxy
from tests.sdk.raw_server import RawServer, whole
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("no_backoff", "soon_quiet")
SUBSCRIBE = b"/subscribe/sse"


@pytest.fixture
def soon_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runloop_sdk._config.STREAM_TIMEOUT", 0.2)


@pytest.fixture
async def axon(sdk: AsyncRunloopSDK) -> AsyncAxon:
    """An axon, on a connection to the service of its own."""
    return await sdk.axon.create()


@asynccontextmanager
async def behind(proxy: CuttingProxy, service: Service, **options: Any) -> AsyncIterator[AsyncRunloopSDK]:
    given = {"default_headers": proxy.headers, "max_retries": 2, "timeout": 5.0, **options}
    async with proxy.serve() as url, AsyncRunloopSDK(bearer_token=service.api_key, base_url=url, **given) as sdk:
        yield sdk


async def publish(axon: AsyncAxon, count: int = 1) -> list[int]:
    """The sequences of so many new events."""
    event: Any = {"event_type": "e", "origin": "USER_EVENT", "payload": "x" * 600, "source": "tests"}
    return [(await axon.publish(**event)).sequence for _ in range(count)]


async def take(events: Any, count: int) -> list[int]:
    return [(await anext(events)).sequence for _ in range(count)]


async def quiet(proxy: CuttingProxy, times: int) -> None:
    """A stream has been taken for quiet, and asked for again, so many times more."""
    wanted = proxy.asked(SUBSCRIBE) + times
    await until(lambda: proxy.asked(SUBSCRIBE) >= wanted, "a stream that is asked for again")


async def test_an_axon_may_be_silent_for_long(service: Service, axon: AsyncAxon) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service) as sdk, await sdk.axon.from_id(axon.id).subscribe_sse() as events:
        for _ in range(3):
            hearing = asyncio.create_task(take(events, 1))
            await quiet(proxy, 4)
            assert not hearing.done()
            assert await publish(axon) == await hearing
    asked, looks = proxy.asked(SUBSCRIBE), proxy.asked(f"GET /v1/axons/{axon.id} ".encode())
    assert asked >= 12
    assert looks >= asked // 3 - 1  # an answer that is late to begin is asked for again, twice, before a look


@pytest.mark.parametrize("limit", [0, 1, 200, 5000, 30000])
async def test_a_stream_that_is_cut_loses_and_repeats_nothing(service: Service, axon: AsyncAxon, limit: int) -> None:
    proxy = CuttingProxy(service.base_url, marker=SUBSCRIBE, limit=limit, cuts=5)
    numbers = await publish(axon, 300)
    async with behind(proxy, service) as sdk:
        async with await sdk.axon.from_id(axon.id).subscribe_sse(after_sequence=10) as events:
            assert await take(events, 290) == numbers[10:]
            assert await publish(axon) == await take(events, 1)
    assert proxy.cut == 5


async def test_what_a_dead_connection_did_not_bring_comes_on_the_next(service: Service, axon: AsyncAxon) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service) as sdk, await sdk.axon.from_id(axon.id).subscribe_sse() as events:
        for _ in range(3):
            assert await publish(axon) == await take(events, 1)
            proxy.fall_silent()
            assert await publish(axon, 5) == await take(events, 5)


async def test_a_stream_goes_on_when_the_service_is_killed_and_started_again(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as first:
        async with AsyncRunloopSDK(bearer_token=first.api_key, base_url=first.base_url) as sdk:
            axon = await sdk.axon.create()
            async with await axon.subscribe_sse() as events:
                assert await publish(axon, 2) == await take(events, 2)
                first.kill()
                with serving(tmp_path / "data", "--port", first.base_url.rpartition(":")[2]):
                    assert await publish(axon, 2) == await take(events, 2)


async def test_it_ends_with_the_axon(sdk: AsyncRunloopSDK, axon: AsyncAxon) -> None:
    numbers = await publish(axon, 2)
    events = await axon.subscribe_sse()
    assert await take(events, 2) == numbers
    await sdk.api.axons.delete(axon.id)
    assert [event async for event in events] == []


async def test_an_axon_that_was_deleted_unheard_is_told_of(
    service: Service, sdk: AsyncRunloopSDK, axon: AsyncAxon
) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service) as other, await other.axon.from_id(axon.id).subscribe_sse() as events:
        assert await publish(axon) == await take(events, 1)
        proxy.fall_silent()
        await sdk.api.axons.delete(axon.id)
        with pytest.raises(NotFoundError, match="deleted"):
            await anext(events)


async def test_a_service_that_is_lost_is_told_of(service: Service, axon: AsyncAxon) -> None:
    proxy = CuttingProxy(service.base_url)
    async with behind(proxy, service) as sdk, await sdk.axon.from_id(axon.id).subscribe_sse() as events:
        assert await publish(axon) == await take(events, 1)
        proxy.go_down()
        with pytest.raises(StreamError, match="The event stream was cut and could not be resumed"):
            await anext(events)


async def test_events_that_come_again_are_heard_once() -> None:
    """From a service that knows no `after_sequence`."""

    def told(*numbers: int) -> bytes:
        event = b'{"axon_id": "a", "event_type": "e", "origin": "o", "payload": "", "source": "s", "timestamp_ms": 0'
        return whole(b"".join(b'data: %b, "sequence": %d}\n\n' % (event, number) for number in numbers))

    lives = whole(b'{"id": "a", "created_at_ms": 0}')
    server = RawServer(told(1, 2), lives, told(1, 2), lives, told(1, 2, 5), lives, told(5, 6), lives)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="k", base_url=url) as sdk:
        async with await sdk.axon.from_id("a").subscribe_sse() as events:
            assert await take(events, 4) == [1, 2, 5, 6]
    asked = [head.split(" ")[1].partition("?")[2] for head in server.heads if "subscribe" in head]
    assert asked == ["", "after_sequence=2", "after_sequence=2", "after_sequence=5"]


async def test_evictions_are_watched_through_any_silence(service: Service) -> None:
    proxy = CuttingProxy(service.base_url)
    path = b"/evictions/watch"
    async with behind(proxy, service) as sdk, await sdk.api.devboxes.watch_evictions() as events:
        watching = asyncio.ensure_future(anext(events))
        await until(lambda: proxy.asked(path) >= 3, "a stream that is asked for again")
        assert not watching.done()
        proxy.go_down()
        with pytest.raises(APIConnectionError):
            await watching
