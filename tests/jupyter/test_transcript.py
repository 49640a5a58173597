"""The whole output of a command, in memory or in a file."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from runloop_jupyter.output.transcript import Transcript
from tests.waiting import wait_until

RUNS: list[tuple[Literal["stdout", "stderr"], str]] = [
    ("stderr", "a\n"),
    ("stdout", "é"),
    ("stdout", "漢\n"),
    ("stderr", "\ud800b"),
    ("stdout", ""),
    ("stdout", "c"),
]


@pytest.mark.parametrize("in_memory", [1, 9, 1_000_000], ids=["in a file", "from memory to file", "in memory"])
def test_it_gives_each_stream_and_both_in_order(in_memory: int) -> None:
    transcript = Transcript(in_memory=in_memory)
    for stream, text in RUNS:
        transcript.append(stream, text)
    assert transcript.stdout == "é漢\nc"
    assert transcript.stderr == "a\n\ud800b"
    assert transcript.output == "a\né漢\n\ud800bc"
    assert len(transcript) == len(transcript.output)


def test_it_can_be_read_in_between() -> None:
    transcript = Transcript(in_memory=4)
    for number in range(10):
        transcript.append("stdout", f"{number} ")
        assert transcript.output.endswith(f"{number} ")
    assert transcript.stdout == "0 1 2 3 4 5 6 7 8 9 "


def test_nothing_printed_is_empty_text() -> None:
    transcript = Transcript()
    assert (transcript.stdout, transcript.stderr, transcript.output, len(transcript)) == ("", "", "", 0)


def test_what_was_printed_is_not_in_its_repr() -> None:
    transcript = Transcript()
    transcript.append("stdout", "secret")
    assert repr(transcript) == "<Transcript of 6 characters>"


@pytest.mark.parametrize("in_memory", [4, 1_000_000], ids=["in a file", "in memory"])
def test_it_is_closed_once_nobody_has_it_any_more(in_memory: int) -> None:
    transcript = Transcript(in_memory=in_memory)
    transcript.append("stdout", "12345")
    file = transcript._file
    del transcript
    wait_until(lambda: file.closed, "the file is closed")


def test_a_hundred_megabytes_stay_out_of_memory_and_leave_no_file(tmp_path: Path) -> None:
    program = """
import resource, sys
from runloop_jupyter.output.transcript import Transcript
transcript, block = Transcript(), "x" * 100_000
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2)
before = peak()
for number in range(1000):
    transcript.append(("stdout", "stderr")[number % 2], block)
print(peak() - before, len(transcript), len(transcript.stderr))
"""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    grown, length, of_stderr = map(int, done.stdout.split())
    assert (length, of_stderr) == (100_000_000, 50_000_000)
    assert grown < 40
    assert list(tmp_path.iterdir()) == []
