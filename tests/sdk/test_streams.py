"""What one stream's frames and two streams' order make of each other; no I/O here."""

import itertools
import random
from collections.abc import Iterator

import pytest

from runloop_sdk._streams import Merger, StreamPosition

TEXT = "grün, weiß, 藍; plain ascii, and more of it: 0123456789\n"
OFFSETS = {"offset is the first byte": False, "offset is the byte after": True}


def frames_from(data: bytes, start: int, size: int, *, end_offsets: bool) -> Iterator[tuple[str, int]]:
    """What a server sends for `data` from byte `start`: whole characters, `size` bytes or a little more each."""
    while start < len(data):
        end = min(start + size, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        yield data[start:end].decode(), end if end_offsets else start
        start = end


@pytest.mark.parametrize("end_offsets", OFFSETS.values(), ids=OFFSETS.keys())
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_stream_cut_after_any_frame_loses_and_repeats_nothing(end_offsets: bool, size: int) -> None:
    data = TEXT.encode()
    for cut in range(len(list(frames_from(data, 0, size, end_offsets=end_offsets))) + 1):
        position, seen = StreamPosition(), ""
        for output, offset in itertools.islice(
            frames_from(data, position.resume(), size, end_offsets=end_offsets), cut
        ):
            seen += position.take(output, offset)
        for output, offset in frames_from(data, position.resume(), size, end_offsets=end_offsets):
            seen += position.take(output, offset)
        assert seen == TEXT


@pytest.mark.parametrize("end_offsets", OFFSETS.values(), ids=OFFSETS.keys())
@pytest.mark.parametrize("second_size", [1, 5, 11, 1000])
def test_server_that_starts_over_repeats_nothing_to_the_caller(end_offsets: bool, second_size: int) -> None:
    data = TEXT.encode()
    position, seen = StreamPosition(), ""
    for output, offset in itertools.islice(frames_from(data, position.resume(), 6, end_offsets=end_offsets), 4):
        seen += position.take(output, offset)
    position.resume()
    for output, offset in frames_from(data, 0, second_size, end_offsets=end_offsets):
        seen += position.take(output, offset)
    assert seen == TEXT


def test_bytes_that_are_no_text_are_not_taken_for_a_repetition() -> None:
    position = StreamPosition()
    assert position.take("ab", 2) == "ab"
    position.resume()
    assert position.take("\ufffd\ufffdcd", 6) == "\ufffd\ufffdcd"
    assert position.offset == 6


def test_frames_without_offsets_are_all_shown() -> None:
    position = StreamPosition()
    assert [position.take(text, None) for text in ("a", "a", "b")] == ["a", "a", "b"]


def test_spans_give_the_true_order_however_the_frames_arrive() -> None:
    order = random.Random(7)
    for _ in range(200):
        lengths = [order.randint(1, 9) for _ in range(12)]
        ends = list(itertools.accumulate(lengths))
        written = [
            (order.choice(["stdout", "stderr"]), f"{n};", (end - length, end))
            for n, (length, end) in enumerate(zip(lengths, ends, strict=True))
        ]
        queues = {name: [frame for frame in written if frame[0] == name] for name in ("stdout", "stderr")}
        merger, shown = Merger(("stdout", "stderr")), []
        while any(queues.values()):
            name = order.choice([name for name, queue in queues.items() if queue])
            shown += merger.push(*queues[name].pop(0))
            if not queues[name]:
                shown += merger.close(name)
        for name in queues:
            shown += merger.close(name)
        assert [(chunk.stream, chunk.text) for chunk in shown] == [(name, text) for name, text, _ in written]


def test_frame_waits_only_for_a_stream_that_may_still_bring_what_is_before_it() -> None:
    merger = Merger(("stdout", "stderr"))
    assert merger.push("stdout", "b", (5, 6)) == []
    assert merger.held("stdout") == 1
    assert [c.text for c in merger.push("stderr", "a", (0, 5))] == ["a", "b"]
    assert merger.push("stdout", "c", (9, 10)) == []
    assert [c.text for c in merger.close("stderr")] == ["c"]


def test_frames_without_spans_keep_the_order_of_arrival() -> None:
    merger = Merger(("stdout", "stderr"))
    chunks = merger.push("stdout", "a", None) + merger.push("stderr", "b", None) + merger.push("stdout", "", None)
    assert [(c.stream, c.text) for c in chunks] == [("stdout", "a"), ("stderr", "b")]


def test_single_stream_is_never_held_back() -> None:
    merger = Merger(("stdout",))
    assert [c.text for c in merger.push("stdout", "x", (100, 101))] == ["x"]


def test_empty_first_frame_says_nothing_about_offsets() -> None:
    position = StreamPosition()
    assert [position.take(*frame) for frame in [("", 0), ("abc", 0), ("de", 3)]] == ["", "abc", "de"]
    assert position.resume() == 5


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("end_offsets", OFFSETS.values(), ids=OFFSETS.keys())
def test_bytes_that_are_no_text_are_neither_lost_nor_repeated_by_a_cut(end_offsets: bool, size: int) -> None:
    raw = [(b"a", "a"), (b"\xff", "\ufffd"), (b"b", "b"), (b"\xe8\x97\x8d", "藍"), (b"\xfe", "\ufffd"), (b"c", "c")] * 2
    starts = [0, *itertools.accumulate(len(data) for data, _ in raw)]

    def frames(offset: int) -> Iterator[tuple[str, int]]:
        for n in range(starts.index(offset), len(raw), size):
            place = starts[min(n + size, len(raw))] if end_offsets else starts[n]
            yield "".join(shown for _, shown in raw[n : n + size]), place

    for cuts in itertools.product(range(4), repeat=3):
        position, seen = StreamPosition(), ""
        for cut in (*cuts, None):
            for frame in itertools.islice(frames(position.resume()), cut):
                seen += position.take(*frame)
        assert seen == "".join(shown for _, shown in raw)


def test_frames_that_come_together_become_one_chunk() -> None:
    merger = Merger(("stdout", "stderr"))
    assert [c.text for c in merger.push_all("stdout", [("a", None), ("", None), ("b", None)])] == ["ab"]
    assert [c.text for c in merger.push_all("stdout", [("a", (0, 1)), ("b", (1, 2)), ("d", (3, 4))])] == ["ab"]
    assert merger.held("stdout") == 1
    assert [(c.stream, c.text) for c in merger.push_all("stderr", [("c", (2, 3)), ("e", (4, 5))])] == [
        ("stderr", "c"),
        ("stdout", "d"),
        ("stderr", "e"),
    ]
