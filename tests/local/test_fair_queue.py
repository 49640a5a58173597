"""Who moves data without end lets others go first, however much that is and however many they are."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from runloop_local.activity import Activity
from runloop_local.app import Access, AuthMiddleware
from runloop_local.engine.devbox.execution import settle
from runloop_local.engine.devbox.execution_manager import ExecutionRequest
from runloop_local.engine.devbox.lifecycle import DevboxRecord
from runloop_local.engine.devbox.output_log import OutputLog
from runloop_local.engine.devbox.pipes import PipeReader, chunks, open_pipe
from runloop_local.engine.engine import Engine
from runloop_local.engine.fair_queue import BURST_BYTES, PIECE_BYTES, SMALL_PIECE_BYTES, FairQueue, Flow
from runloop_local.engine.ids import new_id, now_ms
from runloop_local.routes.output import events
from tests.waiting import PATIENCE, until

HOUR = 3600.0
ENVELOPE = 1000
"""More than an event has around its text."""
Moved = Callable[[bytes], None]
Source = Callable[[Flow, int, Moved, Path], Coroutine[Any, Any, None]]


async def of_commands(flow: Flow, sources: int, moved: Moved, _folder: Path) -> None:
    """What commands print."""
    readers = [PipeReader(full_pipe(), moved, flow) for _ in range(sources)]
    try:
        await asyncio.wait([reader.ended for reader in readers])
    finally:
        for reader in readers:
            reader.close()


async def of_files(flow: Flow, sources: int, moved: Moved, _folder: Path) -> None:
    """Files that are read."""

    async def read() -> None:
        async for data in chunks(full_pipe(), flow):
            moved(data)

    await asyncio.gather(*(read() for _ in range(sources)))


async def of_streams(flow: Flow, sources: int, moved: Moved, folder: Path) -> None:
    """Output that is followed."""
    log = OutputLog(folder)
    log.append("stdout", b"x" * PIECE_BYTES)
    log.finish()

    async def follow() -> None:
        async for event in events(log, "stdout", 0, flow):
            moved(event)

    await asyncio.gather(*(follow() for _ in range(sources)))


KINDS = pytest.mark.parametrize("kind", [of_commands, of_files, of_streams], ids=lambda kind: kind.__name__)


def full_pipe() -> int:
    """The read end of a pipe that holds all it can, and gets no more."""
    read, write = held_pipe()
    os.close(write)
    return read


def held_pipe() -> tuple[int, int]:
    """A full pipe that somebody still holds open."""
    read, write = open_pipe()
    os.set_blocking(write, False)
    assert os.write(write, b"x" * PIECE_BYTES) == PIECE_BYTES
    return read, write


@contextmanager
def rounds() -> Iterator[Callable[[], int]]:
    """How often the loop has come round: the least that a request waits for anything."""
    loop, count = asyncio.get_running_loop(), 0

    handle: asyncio.Handle

    def come_round() -> None:
        nonlocal count, handle
        count += 1
        handle = loop.call_soon(come_round)

    handle = loop.call_soon(come_round)
    try:
        yield lambda: count
    finally:
        handle.cancel()


@KINDS
@pytest.mark.parametrize("sources", [1, 2, 20])
@pytest.mark.parametrize(("waits", "most"), [(False, PIECE_BYTES), (True, SMALL_PIECE_BYTES)], ids=["alone", "asked"])
async def test_what_else_is_ready_waits_for_one_piece_of_one_source(
    kind: Source, sources: int, waits: bool, most: int, tmp_path: Path
) -> None:
    pieces: Counter[int] = Counter()
    sizes: list[int] = []
    queue = FairQueue(0)
    with rounds() as now, queue.request("other") if waits else nullcontext():

        def moved(data: bytes) -> None:
            pieces[now()] += 1
            sizes.append(len(data))

        await kind(queue.flow("flood"), sources, moved, tmp_path)
    assert sources * PIECE_BYTES <= sum(sizes) <= sources * (PIECE_BYTES + ENVELOPE)
    assert max(sizes) <= most + ENVELOPE
    assert set(pieces.values()) == {1}


async def test_devboxes_take_turns_however_much_one_of_them_moves(tmp_path: Path) -> None:
    queue, order = FairQueue(0), []

    def moves(name: str) -> Moved:
        return lambda data: order.append(name)

    many, one = queue.flow("many"), queue.flow("one")
    with queue.request("another"):
        flood = [kind(many, 10, moves("many"), tmp_path) for kind in (of_commands, of_files, of_streams)]
        await asyncio.gather(*flood, of_files(one, 1, moves("one"), tmp_path))
    places = [place for place, name in enumerate(order) if name == "one"]
    assert len(places) == PIECE_BYTES // SMALL_PIECE_BYTES
    assert max(b - a for a, b in pairwise(places)) <= 3


@KINDS
@pytest.mark.parametrize(
    ("owner", "priority_s", "rests"),
    [("other", HOUR, True), ("flood", HOUR, False), ("other", 0, False)],
    ids=["of-another", "of-its-own", "that-takes-long"],
)
async def test_a_flood_rests_while_a_request_waits(
    kind: Source, owner: str, priority_s: float, rests: bool, tmp_path: Path
) -> None:
    """Once it has moved more than anybody needs at once; here it would rest for an hour."""
    queue, sizes = FairQueue(HOUR, priority_s), []
    sources = 2 * BURST_BYTES // PIECE_BYTES
    with queue.request(owner):
        flooding = asyncio.create_task(
            kind(queue.flow("flood"), sources, lambda data: sizes.append(len(data)), tmp_path)
        )
        for _ in range(20 * sources):
            await asyncio.sleep(0)
        assert flooding.done() is not rests
        assert sum(sizes) >= (BURST_BYTES if rests else sources * PIECE_BYTES)
        assert sum(sizes) < sources * PIECE_BYTES or not rests
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


async def test_a_command_that_ends_while_its_devbox_rests_loses_nothing() -> None:
    """One whose output ends with it, and one that leaves a process behind which holds it open."""
    queue = FairQueue(HOUR, HOUR)
    flow, printed = queue.flow("flood"), Counter[str]()
    with queue.request("other"):
        flow.moved(BURST_BYTES)
        await flow.turn()  # rests from here on
        read, write = held_pipe()
        readers = [
            PipeReader(full_pipe(), lambda data: printed.update(ended=len(data)), flow),
            PipeReader(read, lambda data: printed.update(held=len(data)), flow),
        ]
        await settle(readers)
    assert printed == {"ended": PIECE_BYTES, "held": PIECE_BYTES}
    readers[1].close()
    os.close(write)


async def test_the_end_of_a_pipe_needs_no_turn() -> None:
    queue = FairQueue(HOUR, HOUR)
    flow = queue.flow("flood")
    with queue.request("other"):
        flow.moved(BURST_BYTES)
        await flow.turn()  # rests from here on
        read, write = open_pipe()
        reader = PipeReader(read, lambda data: pytest.fail(f"nothing was printed, not {data!r}"), flow)
        os.close(write)
        await asyncio.wait_for(reader.ended, PATIENCE)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    opened = await Engine.open(tmp_path / "data", "process")
    yield opened
    await opened.aclose()


async def test_a_command_waits_that_prints_while_another_devbox_is_asked(engine: Engine) -> None:
    devbox = await engine.devboxes.create(DevboxRecord(new_id("dbx"), now_ms()))
    assert await devbox.state.wait(frozenset({"running"}), PATIENCE)
    size = 4 * BURST_BYTES
    flood = await devbox.processes.execute(ExecutionRequest(f"head -c {size} /dev/zero", new_id("exec")))
    await flood.completed()
    assert flood.log.total == size
    engine.fair_queue.pause_s = HOUR
    with engine.fair_queue.request("dbx_other"):
        flood = await devbox.processes.execute(ExecutionRequest(f"head -c {size} /dev/zero", new_id("exec")))
        await until(lambda: flood.log.total > 0, "output")
        for _ in range(size // SMALL_PIECE_BYTES):
            await asyncio.sleep(0)
        assert flood.record.status == "running"
        assert flood.log.total < size
    await devbox.shutdown("api_shutdown")


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/v1/devboxes/dbx_1", "dbx_1"),
        ("/v1/devboxes/dbx_1/execute", "dbx_1"),
        ("/v1/devboxes/dbx_1/executions/e/stream_stdout_updates", "dbx_1"),
        ("/v1/devboxes", ""),
        ("/v1/objects/obj_1", ""),
    ],
)
async def test_a_request_is_known_by_its_devbox_while_it_lasts(path: str, owner: str) -> None:
    queue = FairQueue()
    waits: list[tuple[bool, bool]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waits.append((queue.others_wait("dbx_1"), queue.others_wait("dbx_2")))

    activity = Activity(0, lambda: None, lambda: True)
    door = AuthMiddleware(app, Access("key", "127.0.0.1", keys=None), activity, queue)  # type: ignore[arg-type]
    headers = [(b"host", b"127.0.0.1:1"), (b"authorization", b"Bearer key")]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "server": ("127.0.0.1", 1)}
    await door(scope, None, None)  # type: ignore[arg-type]
    assert waits == [(owner != "dbx_1", True)]
    assert not queue.others_wait("dbx_2")
