"""The output log: frames, spans, resumption, half characters, memory."""

import os
import random
import sys
from pathlib import Path

import pytest

from runloop_local.engine.devbox.output_log import FRAME_BYTES, Frame, OutputLog, Reader, Stream
from runloop_local.engine.errors import PrunedError

EURO = "€".encode()
Script = list[tuple[Stream, bytes]]
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
SCRIPTS: dict[str, Script] = {
    "nothing": [],
    "one line": [("stdout", b"hello\n")],
    "both": [("stdout", b"a"), ("stderr", b"b"), ("stdout", b"c"), ("stdout", b"d")],
    "only stderr": [("stderr", b"oops\n")],
    "a character in three reads": [("stdout", EURO[:1]), ("stdout", EURO[1:2]), ("stdout", EURO[2:] + b"!")],
    "a character around the other stream": [
        ("stdout", b"1" + EURO[:1]),
        ("stderr", b"x"),
        ("stdout", EURO[1:2]),
        ("stderr", b"y"),
        ("stdout", EURO[2:] + b"2"),
    ],
    "half a character at the end": [("stdout", b"a" + EURO[:2])],
    "half a character, then the other stream": [("stdout", b"a" + EURO[:2]), ("stderr", b"b")],
    "invalid bytes": [("stdout", b"\xff\xfe a \xed\xa0\x80 b \x80"), ("stdout", b"\xf0\x9f\x98")],
    "big": [("stdout", ("ü€😀" * 40_000).encode()), ("stderr", b"e" * 200_000), ("stdout", b"end")],
}
cases = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())


def written(folder: Path, script: Script) -> OutputLog:
    log = OutputLog(folder)
    for stream, data in script:
        log.append(stream, data)
    log.finish()
    return log


def printed(script: Script, stream: Stream) -> bytes:
    return b"".join(data for name, data in script if name == stream)


def frames(log: OutputLog, stream: Stream, offset: int = 0) -> list[Frame]:
    reader = Reader(log, stream, offset)
    try:
        return list(iter(reader.read, None))
    finally:
        reader.close()


def text(found: list[Frame]) -> str:
    return "".join(frame.text for frame in found)


@cases
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_frames_put_together_are_the_stream(tmp_path: Path, script: Script, stream: Stream) -> None:
    found = frames(written(tmp_path, script), stream)
    expected = printed(script, stream)
    assert text(found) == expected.decode("utf-8", "replace")
    assert not found or found[-1].offset == len(expected)
    assert all(frame.span[1] - frame.span[0] <= FRAME_BYTES for frame in found)


@cases
def test_spans_of_both_streams_tile_the_merged_output(tmp_path: Path, script: Script) -> None:
    log = written(tmp_path, script)
    both = sorted(frame.span for stream in ("stdout", "stderr") for frame in frames(log, stream))
    covered = [span for span in both if span[0] != span[1]]
    edges = [0, *(end for _, end in covered)]
    assert [begin for begin, _ in covered] == edges[:-1]
    assert edges[-1] == log.total == sum(len(data) for _, data in script)


@cases
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_resuming_after_any_frame_loses_and_repeats_nothing(tmp_path: Path, script: Script, stream: Stream) -> None:
    log = written(tmp_path, script)
    found = frames(log, stream)
    for place, frame in enumerate(found):
        rest = text(frames(log, stream, frame.offset))
        if frame.span[0] != frame.span[1]:
            assert rest == text(found[place + 1 :])


def test_every_byte_offset_can_be_resumed(tmp_path: Path) -> None:
    script: Script = [(random.Random(n).choice(["stdout", "stderr"]), b"%d," % n) for n in range(200)]
    log = written(tmp_path, script)
    for stream in ("stdout", "stderr"):
        expected = printed(script, stream)
        for offset in range(len(expected) + 3):
            assert text(frames(log, stream, offset)).encode() == expected[offset:]


@pytest.mark.parametrize("seed", range(40))
def test_a_live_reader_sees_the_same_however_reads_fall(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    log = OutputLog(tmp_path)
    readers = {stream: Reader(log, stream) for stream in STREAMS}
    source = {stream: "".join(chance.choices("aé€😀\n", k=300)).encode() for stream in readers}
    left = dict(source)
    found: dict[Stream, list[Frame]] = {stream: [] for stream in readers}

    def read(stream: Stream) -> None:
        found[stream] += list(iter(readers[stream].read, None))

    while any(left.values()):
        stream = chance.choice([name for name in left if left[name]])
        size = chance.randint(1, 7)
        log.append(stream, left[stream][:size])
        left[stream] = left[stream][size:]
        if chance.random() < 0.5:
            read(chance.choice(STREAMS))
    log.finish()
    for stream in readers:
        read(stream)
        readers[stream].close()
        assert text(found[stream]).encode() == source[stream]
        for place, frame in enumerate(found[stream]):
            resumed = text(frames(log, stream, frame.offset))
            assert resumed == text(found[stream][place + 1 :])
    spans = sorted(frame.span for stream in readers for frame in found[stream])
    assert [begin for begin, _ in spans] == [0, *(end for _, end in spans)][:-1]


def test_a_frame_never_crosses_into_the_other_streams_turn(tmp_path: Path) -> None:
    log = written(tmp_path, [("stdout", b"a"), ("stderr", b"b"), ("stdout", b"c")])
    assert [frame.span for frame in frames(log, "stdout")] == [(0, 1), (2, 3)]


@cases
def test_a_finished_log_is_read_from_its_files_alone(tmp_path: Path, script: Script) -> None:
    log = written(tmp_path, script)
    again = OutputLog(tmp_path, finished=True)
    assert (again.sizes, again.segments) == (log.sizes, log.segments)
    for stream in ("stdout", "stderr"):
        assert frames(again, stream) == frames(log, stream)


def test_a_segment_announced_but_never_written_is_no_output(tmp_path: Path) -> None:
    written(tmp_path, [("stdout", b"abc"), ("stderr", b"d")])
    (tmp_path / "output").write_bytes(b"abc")
    again = OutputLog(tmp_path, finished=True)
    assert again.sizes == {"stdout": 3, "stderr": 0}
    assert text(frames(again, "stdout")) == "abc"
    assert frames(again, "stderr") == []


@pytest.mark.parametrize("size", range(3 * 24 + 1))
def test_a_kill_between_any_two_bytes_of_the_order_leaves_a_log_that_can_be_read(tmp_path: Path, size: int) -> None:
    written(tmp_path, [("stdout", b"abc"), ("stderr", b"d"), ("stdout", b"e")])
    entries = (tmp_path / "order").read_bytes()
    (tmp_path / "order").write_bytes(entries[:size])
    (tmp_path / "output").write_bytes(b"abcde"[: (0, 3, 4, 5)[size // 24]])
    again = OutputLog(tmp_path, finished=True)
    assert again.segments == size // 24
    assert text(frames(again, "stdout")) == ("", "abc", "abc", "abce")[size // 24]
    assert text(frames(again, "stderr")) == ("", "", "d", "d")[size // 24]


@pytest.mark.parametrize("left", ["output", "order"])
def test_of_files_whose_removal_was_cut_off_the_record_tells_the_sizes(tmp_path: Path, left: str) -> None:
    written(tmp_path, [("stdout", b"abc"), ("stderr", b"d")])
    for name in {"output", "order"} - {left}:
        (tmp_path / name).unlink()
    again = OutputLog(tmp_path, finished=True, printed=(3, 1))
    assert again.sizes == {"stdout": 3, "stderr": 1}
    with pytest.raises(PrunedError, match="no longer kept"):
        again.require()


def test_a_log_that_cannot_be_begun_keeps_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "order").mkdir()
    before = os.listdir("/dev/fd")
    for _ in range(3):
        with pytest.raises(IsADirectoryError):
            OutputLog(tmp_path).append("stdout", b"a")
    assert os.listdir("/dev/fd") == before


@pytest.mark.parametrize("lines", [1, 60_000, 99_999, 10**9])
def test_no_line_costs_a_step_of_its_own(tmp_path: Path, lines: int) -> None:
    """All of a command's output may be asked for while others wait, and it may be nothing but line ends."""
    log, calls = written(tmp_path, [("stdout", b"\n" * 100_000)]), []
    sys.setprofile(lambda _frame, event, _about: calls.append(event))
    try:
        found, cut = log.tail("stdout", lines)
    finally:
        sys.setprofile(None)
    assert (len(found), cut) == (min(lines, 100_000), lines < 100_000)
    assert len(calls) < 1000


@pytest.mark.parametrize("seed", range(30))
def test_the_last_lines_are_those_that_splitting_finds(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytes(chance.choices(b"ab\n", k=chance.randint(1, 40)))
    log, lines = written(tmp_path, [("stdout", data)]), chance.randint(1, 12)
    assert log.tail("stdout", lines)[0].encode() == b"".join(data.splitlines(keepends=True)[-lines:])


@pytest.mark.parametrize(
    ("data", "lines", "expected", "cut"),
    [
        (b"", 5, "", False),
        (b"a\nb\nc\n", 2, "b\nc\n", True),
        (b"a\nb\nc", 2, "b\nc", True),
        (b"a\nb\nc\n", 3, "a\nb\nc\n", False),
        (b"a\n", 0, "", True),
        (b"\n\n\n", 2, "\n\n", True),
        ("é".encode() * 600_000 + b"!", 1, "é" * 524_287 + "!", True),
    ],
    ids=["empty", "two", "no newline at the end", "all", "none", "blank lines", "one endless line"],
)
def test_tail(tmp_path: Path, data: bytes, lines: int, expected: str, cut: bool) -> None:
    log = written(tmp_path, [("stdout", data)] if data else [])
    assert log.tail("stdout", lines) == (expected, cut)


def test_tail_of_a_stream_between_the_other_ones_output(tmp_path: Path) -> None:
    log = written(tmp_path, [("stdout", b"1\n"), ("stderr", b"x\n"), ("stdout", b"2\n"), ("stderr", b"y\n")])
    assert log.tail("stdout", 1) == ("2\n", True)
    assert log.tail("stderr", 5) == ("x\ny\n", False)


def test_alternating_output_keeps_no_order_in_memory(tmp_path: Path) -> None:
    log = OutputLog(tmp_path)
    for _ in range(2000):
        log.append("stdout", b"o")
        log.append("stderr", b"e")
    log.finish()
    assert log.segments == 4000
    assert not any(isinstance(value, (list, dict)) and len(value) > 2 for value in vars(log).values())
    assert text(frames(log, "stderr")) == "e" * 2000
