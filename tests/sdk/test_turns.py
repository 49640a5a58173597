"""The turns in which the requests and streams of one event loop work."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from runloop_sdk._config import resolve_config
from runloop_sdk._transport import Request, Transport
from runloop_sdk._turns import Turns
from tests.sdk.raw_server import RawServer, whole


class Rounds:
    """Counts the rounds of the running loop."""

    def __init__(self) -> None:
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._count()

    def _count(self) -> None:
        self.number += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 1), (60.0, 8)], ids=["no time is left", "there is time for all"])
async def test_a_round_of_the_loop_has_as_much_work_as_there_is_time_for(seconds: float, most: int) -> None:
    turns, rounds, worked = Turns(seconds), Rounds(), Counter[int]()

    async def work() -> None:
        for _ in range(5):
            await turns.next()
            worked[rounds.number] += 1
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(8)))
    rounds.stop()
    assert worked.total() == 40
    assert max(worked.values()) == most


async def test_those_who_wait_have_their_turns_in_the_order_they_came() -> None:
    turns, order = Turns(0.0), list[int]()

    async def work(number: int) -> None:
        for _ in range(3):
            await turns.next()
            order.append(number)

    await asyncio.gather(*map(work, range(4)))
    assert order == [0, *(0, 1, 2, 3), *(0, 1, 2, 3), *(1, 2, 3)]  # the first came again before the others had begun


async def test_one_who_waits_no_longer_holds_up_nobody() -> None:
    turns, done = Turns(0.0), list[int]()

    async def work(number: int) -> None:
        await turns.next()
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait_for(tasks[3], 10)
    assert done == [0, 3]


async def pieces() -> AsyncIterator[bytes]:
    yield b"made now"


async def test_requests_that_are_made_at_once_take_turns() -> None:
    worked = Counter[int]()
    async with RawServer(whole(b"{}")).serve() as url:
        transport = Transport(resolve_config(bearer_token="key", base_url=url, environ={}))
        transport.turns, rounds = Turns(0.0), Rounds()

        def content() -> AsyncIterator[bytes]:
            worked[rounds.number] += 1
            return pieces()

        request = Request("POST", "/v1/x", content=content)
        await asyncio.gather(*(transport.send(request) for _ in range(20)))
        rounds.stop()
        await transport.aclose()
    assert worked.total() == 20
    assert max(worked.values()) == 1
