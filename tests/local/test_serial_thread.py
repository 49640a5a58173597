"""Work in a thread of its own: in its order, with its results and errors, and left out if nobody waits for it."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from runloop_local.engine.storage.serial_thread import SerialThread
from tests.waiting import PATIENCE


@pytest.fixture
def thread() -> Iterator[SerialThread]:
    found = SerialThread("work")
    yield found
    found.close()


async def test_work_is_done_in_its_order_by_one_thread(thread: SerialThread) -> None:
    done: list[tuple[int, str]] = []

    def work(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return number

    assert await asyncio.gather(*(thread.run(partial(work, n)) for n in range(100))) == list(range(100))
    assert done == [(n, "work") for n in range(100)]


async def test_what_work_raises_is_raised_and_the_next_is_done(thread: SerialThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: 7) == 7


async def test_work_that_nobody_waits_for_is_not_begun_and_what_was_begun_is_done(thread: SerialThread) -> None:
    began, goes_on, done = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        began.set()
        assert goes_on.wait(PATIENCE)
        done.append("first")

    tasks = [asyncio.create_task(thread.run(work)) for work in (first, lambda: done.append("second"))]
    assert await asyncio.to_thread(began.wait, PATIENCE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    goes_on.set()
    await thread.run(lambda: done.append("third"))
    assert done == ["first", "third"]


def test_the_thread_goes_on_when_a_loop_has_ended(thread: SerialThread) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert goes_on.wait(PATIENCE)

    async def give_up() -> None:
        task = asyncio.create_task(thread.run(work))
        await asyncio.to_thread(began.wait, PATIENCE)
        task.cancel()

    asyncio.run(give_up())
    goes_on.set()

    async def other_loop() -> int:
        return await thread.run(lambda: 7)

    assert asyncio.run(other_loop()) == 7
