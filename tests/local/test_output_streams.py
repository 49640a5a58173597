"""Output as server-sent events over a socket."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.local.api import Api


def joined(frames: Iterable[dict[str, Any]]) -> str:
    return "".join(frame["output"] for frame in frames)


async def test_both_streams_tile_the_merged_output(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "for n in $(seq 300); do echo o$n; echo e$n >&2; done")
    streams = await asyncio.gather(api.frames(execution), api.frames(execution, "stderr"))
    assert joined(streams[0]) == "".join(f"o{n}\n" for n in range(1, 301))
    assert joined(streams[1]) == "".join(f"e{n}\n" for n in range(1, 301))
    spans = sorted(tuple(frame["span"]) for frames in streams for frame in frames)
    assert [begin for begin, _ in spans] == [0, *(end for _, end in spans)][:-1]


async def test_the_order_of_both_streams_is_kept(api: Api, devbox: str) -> None:
    command = "while read n; do echo o$n; read n; echo e$n >&2; done"
    execution = await api.start(devbox, command, attach_stdin=True)
    streams = api.follow(execution), api.follow(execution, "stderr")
    for number in range(1, 5):
        for stream in streams:  # each line is printed once the one before is here
            await api.json(f"{execution}/send_std_in", {"text": f"{number}\n"})
            await anext(stream)
    await api.json(f"{execution}/send_std_in", {"signal": "EOF"})
    await api.finish(execution)
    frames = [*await api.frames(execution), *await api.frames(execution, "stderr")]
    in_order = sorted(frames, key=lambda frame: frame["span"])
    assert joined(in_order) == "o1\ne1\no2\ne2\no3\ne3\no4\ne4\n"


async def test_a_stream_is_replayed_from_any_offset(api: Api, devbox: str) -> None:
    text = "zeile ü\n" * 5
    execution = await api.start(devbox, "for n in 1 2 3 4 5; do echo zeile ü; done")
    await api.finish(execution)
    frames = await api.frames(execution)
    assert frames[-1]["offset"] == len(text.encode())
    for offset in (0, 3, 6, 8, 9, len(text.encode()), 10_000):
        assert joined(await api.frames(execution, offset=offset)) == text.encode()[offset:].decode()


async def test_an_offset_inside_a_character_gives_the_character(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "echo aü")
    assert joined(await api.frames(execution, offset=2)) == "ü\n"


async def test_offset_is_the_byte_after_the_chunk(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "echo ü; read; echo €", attach_stdin=True)
    stream = api.follow(execution)
    frames = [await anext(stream)]
    await api.json(f"{execution}/send_std_in", {"text": "\n"})
    frames += [frame async for frame in stream]
    assert [(frame["output"], frame["offset"]) for frame in frames] == [("ü\n", 3), ("€\n", 7)]


async def test_a_character_in_two_writes_is_one_frame(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, r"printf 'a\342\202'; sleep 0.1; printf '\254b'")
    frames = [frame["output"] for frame in await api.frames(execution)]
    assert "".join(frames) == "a€b"
    assert not any("\ufffd" in frame for frame in frames)


async def test_invalid_bytes_become_replacement_characters(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, r"printf '\377ok\200'")
    assert joined(await api.frames(execution)) == "\ufffdok\ufffd"


async def test_headers_come_before_any_output(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "until [ -e go ]; do sleep 0.02; done; echo went")
    async with api.stream("GET", f"{execution}/stream_stdout_updates") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        await api.execute(devbox, "touch go")
        assert (await anext(answer.aiter_lines())).startswith("data: ")  # nor did they wait for the first heartbeat


async def test_each_line_arrives_as_it_is_printed(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, 'while read line; do echo "$line"; done', attach_stdin=True)
    stream = api.follow(execution)
    for n in range(20):
        await api.json(f"{execution}/send_std_in", {"text": f"{n}\n"})
        assert (await anext(stream))["output"] == f"{n}\n"  # the next one is not sent before
    await api.json(f"{execution}/send_std_in", {"signal": "EOF"})
    assert [frame async for frame in stream] == []


async def test_frames_follow_the_form_of_server_sent_events(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, r"printf 'one\r\ntwo\n\nthree\342\200\250'")
    body = (await api.get(f"{execution}/stream_stdout_updates")).text
    assert body.endswith("\n\n")
    events = body.removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert joined(json.loads(event.removeprefix("data: ")) for event in events) == "one\r\ntwo\n\nthree\u2028"


async def test_a_reader_that_stops_reading_holds_nobody_up(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "head -c 30000000 /dev/zero | tr '\\0' a; echo end")
    async with api.stream("GET", f"{execution}/stream_stdout_updates") as lazy:
        first = await anext(lazy.aiter_raw(1000))
        assert first.startswith(b"data: ")
        assert (await api.finish(execution))["stdout"].endswith("aend\n")


async def test_large_output_is_whole_and_in_bounded_frames(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "seq 500000")
    size = longest = 0
    last = ""
    async for frame in api.follow(execution):
        begin, end = frame["span"]
        assert begin == size
        size, last = end, (last + frame["output"])[-20:]
        longest = max(longest, end - begin)
    assert size == sum(len(str(n)) + 1 for n in range(1, 500_001))
    assert longest <= 64 * 1024
    assert last.endswith("499999\n500000\n")


async def test_many_subscribers_get_the_same(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "for n in $(seq 200); do echo $n; done")
    streams = await asyncio.gather(*(api.frames(execution) for _ in range(10)))
    assert {joined(frames) for frames in streams} == {"".join(f"{n}\n" for n in range(1, 201))}


@pytest.mark.parametrize("offset", ["-1", "x", "1.5"])
async def test_a_wrong_offset_is_a_400(api: Api, devbox: str, offset: str) -> None:
    execution = await api.start(devbox, "true")
    answer = await api.get(f"{execution}/stream_stdout_updates?offset={offset}")
    assert answer.status_code == 400


async def test_a_subscriber_that_leaves_is_forgotten(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "sleep 1000")
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            await api.get(f"{execution}/stream_stdout_updates", timeout=httpx.Timeout(5, read=0.05))
    await api.json(f"{execution}/kill", {})
    assert (await api.finish(execution))["exit_status"] == 137
