"""No response of events is silent for long, whatever goes on elsewhere; or all are, where no heartbeat is asked for."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from starlette.types import Message

from runloop_local.engine.change_notifier import ChangeNotifier
from runloop_local.engine.devbox.output_log import OutputLog
from runloop_local.engine.fair_queue import FairQueue
from runloop_local.routes.event_stream import PING, EventStream
from runloop_local.routes.output import events
from tests.local.api import Api, connect
from tests.local.serving import serving
from tests.waiting import PATIENCE, until

BEAT = "0.2"
UNTIL = "until [ -e go ]; do {}sleep 0.05; done"
PRINTS = {"stdout": UNTIL.format("echo x; "), "stderr": UNTIL.format("echo x >&2; "), "nothing": UNTIL.format("")}
QUIET = [("stdout", "stderr"), ("stderr", "stdout"), ("nothing", "stdout"), ("nothing", "stderr")]


async def body(api: Api, path: str) -> bytes:
    """All of a response that ends by itself."""
    return (await api.get(path)).content


@pytest.mark.parametrize(("printed", "stream"), QUIET, ids=[f"{stream} while {p}" for p, stream in QUIET])
async def test_a_stream_that_says_nothing_is_not_silent(tmp_path: Path, printed: str, stream: str) -> None:
    with serving(tmp_path / "data", "--heartbeat", BEAT) as service:
        async with connect(service) as api:
            execution = await api.start(devbox := await api.create(), PRINTS[printed])
            async with api.stream("GET", f"{execution}/stream_{stream}_updates") as answer:
                said = b""
                async for piece in answer.aiter_raw():
                    said += piece
                    if said.count(PING) >= 4:
                        await api.execute(devbox, "touch go")
    assert re.fullmatch(rb"(: ping\n\n){4,}", said), said


async def test_without_a_heartbeat_nothing_is_sent_but_events(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--heartbeat", "0") as service:
        async with connect(service) as api:
            execution = await api.start(await api.create(), "for n in $(seq 20); do echo $n; sleep 0.05; done")
            assert await body(api, f"{execution}/stream_stderr_updates") == b""
            assert (await api.get(f"{execution}/stream_stdout_updates")).text.count("data: ") == 1


@pytest.mark.parametrize("path", ["/v1/axons/{}/subscribe/sse", "/v1/devboxes/evictions/watch"])
async def test_every_stream_has_a_heartbeat(tmp_path: Path, path: str) -> None:
    with serving(tmp_path / "data", "--heartbeat", BEAT) as service:
        async with connect(service) as api:
            axon = (await api.json("/v1/axons", {}))["id"]
            async with api.stream("GET", path.format(axon)) as answer:
                pieces = answer.aiter_raw()
                said = b""
                while said.count(PING) < 3:
                    said += await anext(pieces)


async def says_nothing(changed: ChangeNotifier) -> AsyncIterator[bytes]:
    while True:
        await changed.wait()
        if False:
            yield b""


async def reads_the_other_stream(log: OutputLog) -> AsyncIterator[bytes]:
    async for frame in events(log, "stderr", 0, FairQueue().flow("")):
        yield frame


async def sent(
    frames: AsyncIterator[bytes], heartbeat: float, disturb: Callable[[], object], times: int
) -> list[bytes]:
    """What is sent while `disturb` wakes the source that often, every hundredth of a second."""
    bodies: list[bytes] = []

    async def send(message: Message) -> None:
        bodies.append(message.get("body", b""))

    streaming = asyncio.create_task(EventStream(frames, heartbeat).stream_response(send))
    for _ in range(times):
        disturb()
        await asyncio.sleep(0.01)
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    return [body for body in bodies if body]


async def test_what_wakes_a_source_that_has_nothing_to_say_puts_no_heartbeat_off(tmp_path: Path) -> None:
    changed, log = ChangeNotifier(), OutputLog(tmp_path)
    for frames, disturb in (
        (says_nothing(changed), changed.notify),
        (reads_the_other_stream(log), lambda: log.append("stdout", b"x")),
    ):
        pings = await sent(frames, 0.05, disturb, 50)
        assert set(pings) == {PING}
        assert len(pings) >= 3


async def test_a_frame_puts_the_heartbeat_off_and_none_comes_into_the_middle_of_one(tmp_path: Path) -> None:
    """The client takes its time for each message, much longer than the heartbeat."""
    log = OutputLog(tmp_path)
    order: list[tuple[str, bytes]] = []

    async def slow(message: Message) -> None:
        order.append(("begin", message.get("body", b"")))
        await asyncio.sleep(0.02)
        order.append(("end", message.get("body", b"")))

    def is_taken(times: int) -> bool:
        return sum(b"output" in body for _, body in order) == times

    streaming = asyncio.create_task(
        EventStream(events(log, "stdout", 0, FairQueue().flow("")), 0.001).stream_response(slow)
    )
    for n in range(10):
        log.append("stdout", b"%d\n" % n)
        await until(partial(is_taken, 2 * (n + 1)), "the frame")
    log.finish()
    await asyncio.wait_for(streaming, PATIENCE)
    assert all(a[0] == "begin" and b == ("end", a[1]) for a, b in zip(order[::2], order[1::2], strict=True))
    assert order[-1] == ("end", b"")
    assert sum(b"output" in body for _, body in order) == 20
