"""A command's output in its cell: in a real kernel, as the front end gets it."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from runloop_jupyter.output.output_limits import DisplayLimits, RateLimiter, Tail
from tests.jupyter.kernels import Cell, Kernel

PREAMBLE = """
import asyncio, contextlib, io, os, sys
from IPython.core.magic import register_line_cell_magic
from runloop_jupyter.output.cell_output import CellOutput, DisplayLimits
from runloop_jupyter.kernel.loop import background, run

async def show(texts, pause=0, **options):
    async with CellOutput(**options) as cell:
        for stream, text in texts:
            cell.write(stream, text)
            await asyncio.sleep(pause)

@register_line_cell_magic
def shows(line, cell=None):
    run(show([("stdout", word + "\\n") if word.islower() else ("stderr", word + "\\n") for word in line.split()]))
"""


@pytest.fixture(scope="module")
def kernel(kernels: ModuleType) -> Iterator[Kernel]:
    with kernels.start() as started:
        started.run(PREAMBLE).check()
        yield started


def stream_messages(cell: Cell) -> list[str]:
    return [message.text for message in cell.messages if message.kind == "stream"]


def test_both_streams_come_in_the_order_of_writing(kernel: Kernel) -> None:
    cell = kernel.run("%shows one TWO three four FIVE").check()
    assert cell.streams == [("stdout", "one\n"), ("stderr", "TWO\n"), ("stdout", "three\nfour\n"), ("stderr", "FIVE\n")]


def test_what_the_cell_prints_itself_keeps_its_place(kernel: Kernel) -> None:
    cell = kernel.run("print('before')\n%shows one\nprint('after')\n%shows two\nprint('end')").check()
    assert cell.stdout == "before\none\nafter\ntwo\nend\n"


def test_the_first_text_after_a_pause_comes_at_once(kernel: Kernel, tmp_path: Path) -> None:
    cell = kernel.send(f"""
    async def first():
        async with CellOutput(limits=DisplayLimits(interval=1000.0)) as cell:
            cell.write("stdout", "first")
            while not os.path.exists({str(tmp_path / "seen")!r}): await asyncio.sleep(0.02)
    run(first())
    """)
    kernel.shows(cell, "first")
    (tmp_path / "seen").touch()
    assert kernel.ended(cell).check().stdout == "first"


def test_many_small_writes_become_few_messages_without_loss(kernel: Kernel) -> None:
    texts = "[('stdout', f'{i}\\n') for i in range(1000)]"
    cell = kernel.run(f"run(show({texts}, pause=0.0001, limits=DisplayLimits(interval=1000.0)))").check()
    assert cell.stdout == "".join(f"{i}\n" for i in range(1000))
    assert len(stream_messages(cell)) == 2  # the first at once, all others once the interval or the output is over


def test_a_write_alone_sends_nothing(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def writes():
        async with CellOutput() as cell:
            for _ in range(10_000): cell.write("stdout", "x")
    run(writes())
    """).check()
    assert stream_messages(cell) == ["x" * 10_000]


def test_streams_that_alternate_for_long_share_an_item(kernel: Kernel) -> None:
    cell = kernel.run(
        "run(show([('stdout', f'{i}\\n') for i in range(5) for _ in [0]] + "
        "[(('stdout', 'stderr')[i % 2], f'{i}\\n') for i in range(2000)]))"
    ).check()
    shown = "".join(text for _, text in cell.streams).replace("\x1b[31m", "").replace("\x1b[39m", "")
    assert shown == "".join(f"{i}\n" for i in [*range(5), *range(2000)])
    assert len(cell.streams) <= 30
    assert "\x1b[31m1999\n\x1b[39m" in cell.streams[-1][1]


def test_twenty_megabytes_show_head_and_tail_and_how_much_lies_between(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def flood():
        line = "x" * 99 + "\\n"
        async with CellOutput() as cell:
            for i in range(2000):
                cell.write("stdout", f"block {i}\\n" + line * 100)
                await asyncio.sleep(0)
    run(flood())
    """).check()
    assert cell.stdout.startswith("block 0\n")
    assert cell.stdout.endswith("x\n")
    assert "\nblock 1999\n" in cell.stdout
    assert re.search(r"\n\x1b\[1m\.\.\. 19\.8 MB in 199,500 lines not shown; the result holds all of it", cell.stdout)
    assert cell.stdout.count("\n") < 2510
    assert len(cell.stdout) < 260_000
    assert len(stream_messages(cell)) < 30
    assert kernel.run("'next'").results == ["'next'"]


def test_a_long_progress_bar_is_never_cut(kernel: Kernel) -> None:
    cell = kernel.run("run(show([('stderr', f'\\r{i:6} ' + '#' * 70) for i in range(20_000)]))").check()
    assert cell.stderr.endswith(f"{19_999:6} " + "#" * 70)
    assert "not shown" not in cell.stderr
    assert len(cell.stderr) < 20_000


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_an_escape_is_not_cut_between_two_messages(kernel: Kernel, cut: int) -> None:
    red = "\x1b[31mred"
    cell = kernel.run(f"run(show([('stdout', {red[:cut]!r}), ('stdout', {red[cut:]!r})], pause=0.1))").check()
    assert stream_messages(cell) == [red]


def test_capture_takes_everything_as_it_is(kernel: Kernel) -> None:
    cell = kernel.run("%%capture caught\n%shows one TWO\nrun(show([('stdout', '\\x1b[2Jx' * 200_000)]))").check()
    assert cell.messages == []
    assert kernel.value("caught.stdout[:4], len(caught.stdout), caught.stderr") == ("one\n", 1_000_004, "TWO\n")


def test_capture_of_one_stream_leaves_the_other(kernel: Kernel) -> None:
    cell = kernel.run("%%capture --no-stderr caught\n%shows one TWO").check()
    assert cell.streams == [("stderr", "TWO\n")]
    assert kernel.value("caught.stdout") == "one\n"


def test_redirected_output_goes_where_it_was_redirected(kernel: Kernel) -> None:
    cell = kernel.run(
        "with contextlib.redirect_stdout(io.StringIO()) as there:\n    get_ipython().run_line_magic('shows', 'one TWO')"
    )
    assert cell.check().streams == [("stderr", "TWO\n")]
    assert kernel.value("there.getvalue()") == "one\n"


def test_quiet_shows_nothing(kernel: Kernel) -> None:
    cell = kernel.run("run(show([('stdout', 'a')], quiet=True))").check()
    assert cell.messages == []


def test_output_after_the_end_of_a_cell_lands_in_that_cell(kernel: Kernel) -> None:
    first = kernel.send("t = background(show([('stdout', f'{i}\\n') for i in range(8)], pause=0.1))")
    second = kernel.run("print('second'); await asyncio.sleep(0.3); print('end')").check()
    third = kernel.run("print('third')").check()
    kernel.shows(first, "7\n")
    assert first.stdout == "".join(f"{i}\n" for i in range(8))
    assert (second.stdout, third.stdout) == ("second\nend\n", "third\n")


def test_text_after_the_end_of_the_output_is_an_error(kernel: Kernel) -> None:
    cell = kernel.run(
        "async def late():\n    async with CellOutput() as cell: pass\n    cell.write('stdout', 'x')\nrun(late())"
    )
    assert (cell.error, cell.stdout) == ("ValueError", "")


def test_an_error_inside_still_shows_what_was_written(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def fails():
        async with CellOutput() as cell:
            cell.write("stdout", "last words\\n")
            raise LookupError("gone")
    run(fails())
    """)
    assert (cell.error, cell.stdout) == ("LookupError", "last words\n")


STATUS = """
async def wait(first, seconds, last, final=""):
    async with CellOutput(limits=DisplayLimits(silence=0.6)) as cell:
        cell.status(lambda: "waiting")
        cell.write("stdout", first)
        await asyncio.sleep(seconds)
        cell.write("stdout", last)
        await asyncio.sleep(0.1)
        if final: cell.final(final)
"""


def test_a_silent_command_shows_its_status_and_leaves_none(kernel: Kernel) -> None:
    cell = kernel.send(STATUS + "run(wait('one\\n', 1.5, 'two\\n'))")
    kernel.shows(cell, "waiting")
    kernel.ended(cell).check()
    assert cell.displays == [""]
    assert cell.stdout == "one\ntwo\n"


def test_a_status_comes_under_the_output_so_far_but_parts_it_three_times_at_most(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def falter():
        async with CellOutput(limits=DisplayLimits(silence=0.05)) as cell:
            cell.status("waiting")
            for i in range(5):
                cell.write("stdout", f"{i}\\n")
                await asyncio.sleep(0.2)
    run(falter())
    """).check()
    assert cell.displays == ["", "", ""]
    assert cell.streams == [("stdout", "0\n"), ("stdout", "1\n"), ("stdout", "2\n"), ("stdout", "3\n4\n")]


def test_lines_about_what_runs_show_no_control_of_the_names_in_them(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def named():
        async with CellOutput(limits=DisplayLimits(silence=0.01)) as cell:
            cell.status("running a\u202eb\u200b\x1b[2J")
            await asyncio.sleep(0.3)
            cell.final("stopped\u2066\x9b")
    run(named())
    """).check()
    assert cell.messages[0].text == "running a\ufffdb\ufffd\ufffd[2J"
    assert cell.displays == ["stopped\ufffd\ufffd"]


def test_a_display_breaks_the_silence_as_text_does(kernel: Kernel) -> None:
    cell = kernel.run("""
    async def after_a_while():
        async with CellOutput(limits=DisplayLimits(silence=2.0)) as cell:
            cell.status("waiting")
            time.sleep(1.9)
            cell.display({"text/plain": "shown"})
            await asyncio.sleep(0.3)
    import time
    run(after_a_while())
    """).check()
    assert cell.displays == ["shown"]


def test_a_short_command_shows_no_status(kernel: Kernel) -> None:
    cell = kernel.run(
        "async def short():\n    async with CellOutput() as cell: cell.status('waiting')\nrun(short())"
    ).check()
    assert cell.messages == []


def test_the_final_line_comes_last_and_stays(kernel: Kernel) -> None:
    cell = kernel.run(STATUS + "run(wait('one\\n', 1.5, 'two\\n', 'done'))").check()
    assert cell.displays == ["", "done"]
    assert cell.messages[-1].text == "done"


def test_the_final_line_takes_the_place_of_a_status_under_the_output(kernel: Kernel) -> None:
    cell = kernel.run(STATUS + "run(wait('one\\n', 1.5, '', 'done'))").check()
    assert cell.displays == ["done"]


def test_beyond_the_head_the_last_lines_are_shown_live(kernel: Kernel) -> None:
    cell = kernel.send("""
    async def log():
        async with CellOutput(limits=DisplayLimits(head=1000, silence=0.1)) as cell:
            for i in range(100):
                cell.write("stdout", f"line {i}\\n" * 10)
                await asyncio.sleep(0.02)
    run(log())
    """)
    kernel.shows(cell, "more so far")
    kernel.ended(cell).check()
    assert cell.displays == [""]
    assert cell.stdout.endswith("line 99\n")


def test_it_is_the_same_with_nested_capture_of_displays(kernel: Kernel) -> None:
    cell = kernel.run(
        f"{STATUS}\nfrom IPython.utils.capture import capture_output\n"
        "with capture_output() as caught: run(wait('one\\n', 1.5, 'two\\n', 'done'))"
    ).check()
    assert cell.messages == []
    assert kernel.value("caught.stdout, caught.outputs") == ("one\ntwo\n", [])


TAILS = {
    "all fits": (10, 9, ["a\n", "b\n"], "a\nb\n", ""),
    "cut between lines": (6, 9, ["aaa\nbbb\n", "ccc\n"], "ccc\n", "0.0 KB in 2 lines"),
    "one long text": (6, 9, ["aaa\nbbb\nccc\n"], "ccc\n", "0.0 KB in 2 lines"),
    "one long line": (4, 9, ["abcdefgh"], "efgh", "0.0 KB in 0 lines"),
    "many short lines": (99, 2, ["a\nb\n", "c\nd\ne\n"], "d\ne\n", "0.0 KB in 3 lines"),
    "as many lines as fit": (99, 2, ["a\nb\n"], "a\nb\n", ""),
    "an unfinished line": (99, 1, ["a\nb\nc"], "b\nc", "0.0 KB in 1 lines"),
    "nothing": (4, 9, [], "", ""),
}


@pytest.mark.parametrize(("limit", "lines", "texts", "kept", "hidden"), TAILS.values(), ids=TAILS)
def test_the_tail_keeps_whole_lines_at_the_end(
    limit: int, lines: int, texts: list[str], kept: str, hidden: str
) -> None:
    tail = Tail(limit, lines)
    for text in texts:
        tail.append("stdout", text)
    assert "".join(text for _, text in tail.end()) == kept
    assert tail.hidden == hidden


def test_the_limiter_splits_between_lines_and_loses_nothing() -> None:
    limiter = RateLimiter(rate=0.001, burst=10_000)
    text = "".join(f"line {i}\n" for i in range(10_000))
    now, later = limiter.split(text)
    assert now + later == text
    assert now.endswith("\n")
    assert 8_000 < len(now) <= 10_000
    assert limiter.split(later) == ("", later)


def test_the_limiter_counts_escapes_as_the_server_does() -> None:
    now, _ = RateLimiter(rate=0.001, burst=12_000).split("\x1b" * 10_000)
    assert len(now) <= 2_000


def test_random_output_is_shown_whole_when_it_fits(kernel: Kernel) -> None:
    chance = random.Random(7)
    texts = [("stdout", chance.choice(["ab", "é\n", "\n", "漢字 ", "x" * 500])) for _ in range(300)]
    cell = kernel.run(f"run(show({texts!r}, pause=0.0003))").check()
    assert cell.stdout == "".join(text for _, text in texts)


def test_the_default_limits_stay_below_what_the_server_drops() -> None:
    limits = DisplayLimits()
    assert limits.head + limits.tail < 1_000_000
    assert 1 / limits.interval <= 50
