"""The SSE decoder, as WHATWG defines it, for bodies cut at every byte."""

import itertools
import random

import pytest

from runloop_sdk._sse import ServerSentEvent, SSEDecoder

CASES = {
    "one event": (b"data: a\n\n", [("message", "a")]),
    "no space after the colon": (b"data:a\n\n", [("message", "a")]),
    "only the first space is dropped": (b"data:  a\n\n", [("message", " a")]),
    "several data lines": (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
    "crlf": (b"data: a\r\n\r\n", [("message", "a")]),
    "cr": (b"data: a\r\rdata: b\r\r", [("message", "a"), ("message", "b")]),
    "mixed line ends": (b"data: a\r\ndata: b\n\rdata: c\n\n", [("message", "a\nb"), ("message", "c")]),
    "no data, no event": (b"event: ping\n\n: comment\n\n", []),
    "comment between": (b": ping\ndata: a\n: pong\n\n", [("message", "a")]),
    "named event": (b"event: error\ndata: {}\n\ndata: b\n\n", [("error", "{}"), ("message", "b")]),
    "field without a colon": (b"data\n\n", [("message", "")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
    "unfinished event is dropped": (b"data: a\n\ndata: b\n", [("message", "a")]),
    "unknown fields and ids": (b"id: 1\nretry: 5\nx: y\ndata: a\n\n", [("message", "a")]),
    "unicode and its line separators": ("data: ä\u2028\u0085é\n\n".encode(), [("message", "ä\u2028\u0085é")]),
    "form feed is no line end": (b"data: a\x0cb\x1cc\n\n", [("message", "a\x0cb\x1cc")]),
}


@pytest.mark.parametrize(("body", "events"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_body_in_pieces_of_any_size_gives_the_same_events(
    body: bytes, events: list[tuple[str, str]], size: int
) -> None:
    decoder = SSEDecoder()
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    assert [(e.event, e.data) for piece in pieces for e in decoder.feed(piece)] == events


def flat(found: ServerSentEvent | list[bytes]) -> list[tuple[str, str]]:
    if isinstance(found, list):
        return [("message", data.decode(errors="replace")) for data in found]
    return [(found.event, found.data)]


@pytest.mark.parametrize(("body", "events"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_fast_way_gives_the_same_events(body: bytes, events: list[tuple[str, str]], size: int) -> None:
    decoder, before = SSEDecoder(), b"" if body.startswith(b"\xef") else b"data: 1\n\ndata: 2\n\n"
    whole = before + body
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    found = [pair for piece in pieces for event in decoder.feed_fast(piece) for pair in flat(event)]
    assert found == ([("message", "1"), ("message", "2")] if before else []) + events


def test_fast_way_gives_the_same_events_for_random_bodies_in_random_pieces() -> None:
    order = random.Random(11)
    parts = [
        b"data: a\n\n",
        b"data: {}\n\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"data:",
        b" b",
        b"event: error\n",
        b": c\n\n",
        b"x",
    ]
    fast = 0
    for _ in range(3000):
        body = b"".join(order.choices(parts, weights=[9, 9, 1, 1, 1, 1, 1, 1, 1, 1], k=order.randint(1, 30)))
        cuts = sorted(order.choices(range(len(body) + 1), k=order.randint(0, 6)))
        pieces = [body[a:b] for a, b in itertools.pairwise([0, *cuts, len(body)])]
        decoder = SSEDecoder()
        found = [event for piece in pieces for event in decoder.feed_fast(piece)]
        fast += any(isinstance(event, list) for event in found)
        assert [pair for event in found for pair in flat(event)] == [(e.event, e.data) for e in SSEDecoder().feed(body)]
    assert fast > 500
