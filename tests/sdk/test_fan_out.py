"""One command on many devboxes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runloop_sdk import (
    AsyncDevbox,
    AsyncExecutionResult,
    AsyncRunloopSDK,
    CommandError,
    ConfigurationError,
    NotFoundError,
    RunloopError,
)
from runloop_sdk.resources.fan_out import fan_out
from tests.sdk.fault_server import FaultServer


@pytest.fixture
async def fleet(sdk: AsyncRunloopSDK) -> AsyncIterator[list[AsyncDevbox]]:
    devboxes = await asyncio.gather(*(sdk.devbox.create(name=f"fleet-{n}") for n in range(6)))
    yield devboxes
    await asyncio.gather(*(devbox.shutdown() for devbox in devboxes))


def completed(outcome: AsyncExecutionResult | RunloopError) -> AsyncExecutionResult:
    """A result, not a failure that was kept in its place."""
    assert isinstance(outcome, AsyncExecutionResult), outcome
    return outcome


async def test_results_come_in_the_order_of_the_devboxes(sdk: AsyncRunloopSDK, fleet: list[AsyncDevbox]) -> None:
    results = await sdk.devbox.map("hostname", fleet, concurrency=3)
    assert [result.devbox_id for result in results] == [devbox.id for devbox in fleet]
    assert [await result.stdout() for result in results] == [f"{devbox.id}\n" for devbox in fleet]


async def test_gone_devbox_raises_or_is_kept_in_its_place(sdk: AsyncRunloopSDK, fleet: list[AsyncDevbox]) -> None:
    mixed = [fleet[0], sdk.devbox.from_id("dbx_none"), fleet[1]]
    with pytest.raises(NotFoundError):
        await sdk.devbox.map("true", mixed)
    with pytest.raises(ExceptionGroup, match="1 of 3 failed") as caught:
        await sdk.devbox.map("true", mixed, on_failure="finish")
    assert isinstance(caught.value.exceptions[0], NotFoundError)
    kept = await sdk.devbox.map("true", mixed, on_failure="keep")
    assert [isinstance(outcome, NotFoundError) for outcome in kept] == [False, True, False]


async def test_exit_code_counts_as_a_failure_only_when_checked(sdk: AsyncRunloopSDK, fleet: list[AsyncDevbox]) -> None:
    assert [each.exit_code for each in await sdk.devbox.map("exit 3", fleet)] == [3] * 6
    with pytest.raises(CommandError, match="ended with 3") as caught:
        await sdk.devbox.map("exit 3", fleet, check=True)
    assert caught.value.exit_code == 3


async def test_no_more_than_the_allowed_number_runs_at_once() -> None:
    running, most = 0, 0

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return n

    assert await fan_out(work, range(1000), concurrency=7, on_failure="stop") == list(range(1000))
    assert most == 7


async def test_first_failure_cancels_the_rest() -> None:
    ended: list[int] = []

    async def work(n: int) -> None:
        if n == 2:
            raise CommandError("two", exit_code=2)
        await asyncio.sleep(0.05)
        ended.append(n)

    with pytest.raises(CommandError, match="two"):
        await fan_out(work, range(1000), concurrency=4, on_failure="stop")
    assert ended == []


async def test_concurrency_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 or more"):
        await fan_out(asyncio.sleep, [0], concurrency=0, on_failure="stop")


async def test_a_thousand_devboxes_share_the_connections_of_those_that_run() -> None:
    server = FaultServer(faults=0)
    async with server.serve() as url, AsyncRunloopSDK(bearer_token="key", base_url=url) as sdk:
        devboxes = [sdk.devbox.from_id(f"dbx_{n}") for n in range(1000)]
        results = [completed(each) for each in await sdk.devbox.map("run", devboxes, concurrency=20)]
    assert [result.devbox_id for result in results] == [devbox.id for devbox in devboxes]
    assert server.most_open <= 60  # a command and its two streams
