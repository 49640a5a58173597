"""One command on many devboxes: chosen by names and patterns, shown together, each with its result."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from runloop_jupyter.commands.matching import is_pattern
from runloop_jupyter.executions.grid import Row, grid_html, grid_text, summary
from runloop_jupyter.executions.prefixed import PrefixedOutput
from runloop_jupyter.output.terminal_text import last_line
from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import ends

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.jupyter.kernels import Kernel

NAMES = ("web-1", "web-2", "web-10", "db")


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter").check()
        for name in NAMES:
            started.run(f"%devbox create --name {name} --env WHO={name}").check()
        yield started


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--on all", ["db", "web-1", "web-2", "web-10"]),
        ("--on 'web-*'", ["web-1", "web-2", "web-10"]),
        ("--on 'web-?'", ["web-1", "web-2"]),
        ("--on db --on web-2", ["db", "web-2"]),
        ("--on db --on 'd*'", ["db"]),
    ],
)
def test_names_and_patterns_choose_devboxes(kernel: Kernel, options: str, names: list[str]) -> None:
    kernel.run(f"r = %devbox exec --quiet {options} echo $WHO").check()
    assert kernel.value("list(r)") == names
    assert kernel.value("list(r.stdout.values())") == [f"{name}\n" for name in names]


def test_a_pattern_without_a_match_says_so(kernel: Kernel) -> None:
    cell = kernel.run("%devbox exec --on 'wep-*' ls")
    assert (cell.error, "'wep-*'" in cell.error_text or "wep-*" in cell.error_text) == ("UsageError", True)
    assert "\n" not in cell.traceback


def test_lines_stand_behind_names_and_a_grid_above_them(kernel: Kernel) -> None:
    cell = kernel.run('%%devbox exec --on all\necho "one $WHO"; echo two').check()
    lines = sorted(plain(cell.stdout).splitlines())
    assert lines[:2] == ["db     │ one db", "db     │ two"]
    assert len(lines) == 8
    first = next(m for m in cell.messages if m.kind == "display_data")
    assert cell.messages.index(first) == 0
    assert re.search(r"web-10 +✓ exit code 0 +\d.* s +two", cell.displays[0])
    assert "✓ all 4 succeeded" in cell.displays[0]
    assert cell.results == []
    html = [m.content["data"]["text/html"] for m in cell.messages if m.kind == "update_display_data"][-1]
    assert ">web-10</td>" in html


def test_the_grid_is_live(kernel: Kernel) -> None:
    cell = kernel.send("%%devbox exec --on 'web-?'\necho begun; sleep 1.2; echo ended")
    kernel.until(lambda: cell.displays and re.search(r"web-1 +● running.*begun", cell.displays[0]), "a live row")
    kernel.ended(cell).check()


def test_a_line_shows_its_result_once(kernel: Kernel) -> None:
    cell = kernel.run("%devbox exec --on 'web-?' echo $WHO").check()
    assert cell.displays == [""]
    assert re.search(r"web-1 +✓ exit code 0 · \d.* s +web-1", cell.results[0])


def test_one_failure_fails_the_cell_when_all_have_ended(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --on all -o r\nsleep 0.$((RANDOM % 3)); echo $WHO; [ $WHO != web-2 ]")
    assert cell.error == "DevboxCommandError"
    assert "1 of 4 devboxes failed: web-2 exit code 1." in cell.error_text
    assert kernel.value("[x.exit_code for x in r.values()]") == [0, 0, 1, 0]
    assert kernel.value("list(r.failed)") == ["web-2"]
    assert "✗ 1 of 4 failed" in cell.displays[0]
    kernel.run("%%devbox exec --on all --no-raise-error -o r\nexit 3").check()
    assert kernel.value("r.success, len(r.failed)") == (False, 4)


def test_the_first_failure_can_kill_the_rest(kernel: Kernel, home: Home) -> None:
    cell = kernel.run("%%devbox exec --on all --fail-fast -o r\n[ $WHO = db ] && exit 3; sleep 6711")
    assert cell.error == "DevboxCommandError"
    assert kernel.value("[x.exit_code for x in r.values()]") == [3, 137, 137, 137]
    assert ends(home, "[6]711", "web-1")


def test_stop_kills_all(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec --on all\necho begun; trap '' INT TERM; sleep 6712")
    kernel.until(lambda: plain(cell.stdout).count("begun") == 4, "all to begin")
    kernel.interrupt()
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt"
    assert "stopped: all that ran was killed" in cell.displays[0]
    assert all(ends(home, "[6]712", name) for name in NAMES)
    assert kernel.run("%devbox exec --on db echo next").check().stdout == "next\n"


def test_a_devbox_that_dies_in_the_middle_has_a_result_that_says_so(kernel: Kernel, home: Home) -> None:
    kernel.run("%devbox create --name dying").check()
    cell = kernel.send("%%devbox exec --on all -o r\necho begun; [ $WHO ] || sleep 1000; sleep 1")
    kernel.until(lambda: plain(cell.stdout).count("begun") == 5, "all to begin")
    asyncio.run(_shut_down(home, "dying"))
    kernel.ended(cell)
    assert cell.error == "DevboxCommandError"
    assert "1 of 5 devboxes failed: dying " in cell.error_text
    assert kernel.value("r['dying'].exit_code, 'has been shut down' in r['dying'].error, r['dying'].stdout") == (
        None,
        True,
        "begun\n",
    )


async def _shut_down(home: Home, name: str) -> None:
    async with home.sdk() as sdk:
        async for view in sdk.api.devboxes.list(status="running"):
            if view.name == name:
                await sdk.api.devboxes.shutdown(view.id)


def test_json_of_each_is_read(kernel: Kernel) -> None:
    cell = kernel.run('%devbox exec --json --on \'web-?\' echo "[1, \\"$WHO\\"]"').check()
    assert cell.results == ["{'web-1': [1, 'web-1'], 'web-2': [1, 'web-2']}"]


def test_a_loud_devbox_does_not_crowd_out_the_others(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --on all -o r\n[ $WHO = db ] && seq 300000; sleep 0.3; echo I am $WHO").check()
    shown = plain(cell.stdout)
    assert all(f"│ I am {name}\n" in shown for name in NAMES)
    assert "lines not shown" in shown
    assert len(shown) < 200_000
    assert kernel.value("r['db'].stdout == ''.join(f'{i}\\n' for i in range(1, 300001)) + 'I am db\\n'")


def test_only_last_lines_can_be_shown_of_each(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --on 'web-?' --tail 1\nseq 5").check()
    lines = [line for line in plain(cell.stdout).splitlines() if "not shown" not in line]
    assert sorted(lines) == ["web-1 │ 5", "web-2 │ 5"]


def test_one_devbox_only_where_one_is_needed(kernel: Kernel) -> None:
    cell = kernel.run("%devbox exec --on all --interactive ls")
    assert (cell.error, "--interactive" in cell.error_text) == ("UsageError", True)


def test_in_the_background_the_grid_goes_on_in_its_cell(kernel: Kernel) -> None:
    wait = "until [ -e go ]; do sleep 0.05; done"
    cell = kernel.run(f"%%devbox exec --on 'web-*' --bg -o jobs\necho begun; {wait}; echo $WHO; test $WHO != web-2")
    cell.check()
    assert kernel.run("print('meanwhile')").check().stdout == "meanwhile\n"
    listed = kernel.run("%runloop executions").check().results[0]
    assert listed.count("● running for") == 3
    assert "not attached" not in listed
    assert "3 devboxes" in kernel.value("repr(jobs)")
    kernel.run("%devbox exec --quiet --on 'web-*' touch go").check()
    kernel.until(lambda: "✗ 1 of 3 failed" in cell.displays[-1], "the end")
    kernel.until(lambda: "web-10 │ web-10" in plain(cell.stdout), "the last output")
    assert kernel.value("list(jobs.wait().failed), jobs.done, jobs.output['web-1']") == (
        ["web-2"],
        True,
        "begun\nweb-1\n",
    )


def test_a_handle_on_several_kills_and_gives_input_to_all(kernel: Kernel, home: Home) -> None:
    kernel.run("jobs = %devbox exec --on 'web-?' --bg sleep 9715").check()
    kernel.run("jobs.kill()\nr = jobs.wait()").check()
    assert kernel.value("[each.exit_code for each in r.values()]") == [137, 137]
    assert ends(home, "[s]leep 9715", "web-1")
    kernel.run("jobs = %devbox exec --on 'web-?' --bg --stdin - cat").check()
    kernel.run("jobs.send_stdin('to all\\n'); jobs.close_stdin()").check()
    assert kernel.value("jobs.wait().stdout") == {"web-1": "to all\n", "web-2": "to all\n"}


def test_it_works_below_capture_and_time(kernel: Kernel) -> None:
    cell = kernel.run("%%capture c\n%devbox exec --on 'web-?' echo $WHO").check()
    assert cell.messages == []
    assert "web-2 │" in plain(kernel.value("c.stdout"))
    assert "Wall time" in kernel.run("%%time\n%devbox exec --quiet --on all true").check().stdout


class Sink:
    def __init__(self) -> None:
        self.text = ""

    def write(self, stream: str, text: str) -> None:
        self.text += text

    def display(self, bundle: Mapping[str, Any], *, display_id: str = "", update: bool = False) -> None:
        raise AssertionError(bundle)

    def clear(self, *, wait: bool) -> None:
        raise AssertionError("cleared")


PIECES = {
    "whole lines": (["a\nb\n"], "x │ a\nx │ b\n"),
    "a line in pieces": (["a", "b", "c\n"], "x │ abc\n"),
    "no newline at the end": (["a\nb"], "x │ a\nx │ b\n"),
    "a progress bar": (["1%\r2%\r", "3%\n"], "x │ 3%\n"),
    "a long progress bar": ([f"{n}%\r" for n in range(9000)], "x │ 8999%\n"),
    "a shorter text over a longer one": (["100%\r", "  5\n"], "x │   5%\n"),
    "a spinner": (["at work |", *("\b/" if n % 2 else "\b|" for n in range(9000)), "\n"], "x │ at work /\n"),
    "an erased line": (["Downloading ...\r\x1b[K", "done\n"], "x │ done\n"),
    "carriage returns": (["a\r\nb\r\n"], "x │ a\nx │ b\n"),
    "lines drawn anew": (["a\n", *(f"\x1b[A\x1b[2K{n}\n" for n in range(99)), "b\n"], "x │ a\nx │ 98\nx │ b\n"),
    "lines drawn anew at once": (["a 1\nb 1\n\x1b[2Aa 2\nb 2\n"], "x │ a 2\nx │ b 2\n"),
    "a line without an end above": (["a\nb", "\x1b[A1\n"], "x │ a\nx │ a1\nx │ b\n"),
    "a hidden cursor": (["\x1b[?25l1%\r", "2%\r\x1b[?25h", "\n"], "x │ 2%\n"),
    "lines that scroll out": (["\x1b[Ka\x1b[A\n", "b\n" * 60], "x │ a\n" + "x │ b\n" * 60),
    "lines after what was drawn": (
        ["\x1b[?25h\n" * 2, "b\n" * 30, "c\n" * 30, "d", "\x1b[Ae\n"],
        "x │ \n" * 2 + "x │ b\n" * 30 + "x │ c\n" * 30 + "x │ ce\nx │ d\n",
    ),
    "empty lines": (["\n\na\n"], "x │ \nx │ \nx │ a\n"),
}


@pytest.mark.parametrize(("pieces", "shown"), PIECES.values(), ids=PIECES)
def test_output_is_passed_on_by_lines(pieces: list[str], shown: str) -> None:
    sink = Sink()
    output = PrefixedOutput("x", 1, 0, sink, budget=10_000)
    for piece in pieces:
        output.write("stdout", piece)
    output.close()
    assert plain(sink.text) == shown


FRAMES = r"""
echo before
for i in $(seq 20); do
  [ $i = 1 ] || printf '\033[2A'
  printf '\033[2K\033[32mone %s\033[0m\n\033[2Ktwo %s\n' $i $i
  sleep 0.05
done
for i in $(seq 200); do printf '\r%d%%' $i; done
echo; echo after"""


@pytest.mark.parametrize("options", ["", "--tty ", "--tail 9 "])
def test_what_is_drawn_anew_is_shown_as_it_was_in_the_end(kernel: Kernel, options: str) -> None:
    cell = kernel.run(f"%%devbox exec {options}--on 'web-?'{FRAMES}").check()
    for name in ("web-1", "web-2"):
        lines = [line.partition("│ ")[2] for line in plain(cell.stdout).splitlines() if line.startswith(name)]
        assert lines[0] == "before"
        assert lines[-4:] == ["one 20", "two 20", "200%", "after"]
        assert len(lines) <= 7  # what was passed on before it was drawn anew stays
    assert not re.search(r"\x1b(?!\[[\d;]*m)|\r", cell.stdout)


def test_displays_change_in_their_place_and_what_others_show_stays(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%devbox python --on 'web-?'\nimport os\nfrom IPython.display import clear_output\n"
        "h = display(os.environ['WHO'], display_id='same')\nclear_output()\nh.update(os.environ['WHO'] + ' then')"
    ).check()
    ids = {
        message.text: message.content["transient"]["display_id"]
        for message in cell.messages
        if message.kind in ("display_data", "update_display_data") and message.text.startswith("'web")
    }
    assert ids["'web-1'"] == ids["'web-1 then'"] != ids["'web-2'"] == ids["'web-2 then'"]
    assert [message.kind for message in cell.messages].count("clear_output") == 0
    assert plain(cell.stdout).count("web-1 │") == 1


def test_beyond_the_budget_the_last_lines_are_left() -> None:
    sink = Sink()
    output = PrefixedOutput("x", 1, 0, sink, budget=20, last=2)
    for start in range(0, 1000, 10):
        output.write("stdout", "".join(f"line {i}\n" for i in range(start, start + 10)))
    assert output.last_line == "line 999"
    output.close()
    shown = plain(sink.text).splitlines()
    assert shown[0] == "x │ line 0"
    assert shown[-2:] == ["x │ line 998", "x │ line 999"]
    hidden = int(re.findall(r"([\d,]+) lines not shown", sink.text)[0].replace(",", ""))
    assert hidden + len(shown) - 1 == 1000


@pytest.mark.parametrize("end", ["\n", "\x1b[0m\n", "\n \x1b[K\n\n", "\r\n"])
def test_the_last_line_is_the_last_that_shows_something(end: str) -> None:
    text = f"before\n\x1b[32mdone{end}"
    output = PrefixedOutput("x", 1, 0, Sink(), budget=1000)
    output.write("stdout", text)
    assert (output.last_line, last_line(text)) == ("done", "done")


def test_what_is_no_pattern_is_a_name() -> None:
    assert [is_pattern(word) for word in ("all", "a*", "w?", "[ab]", "web", "dbx_1")] == [True] * 4 + [False] * 2


def test_the_grid_of_very_many_shows_those_that_matter() -> None:
    rows = [Row(f"b{i}", "failed" if i == 700 else "done", "exit code 0", 1.0, "<b>") for i in range(1000)]
    assert summary(rows) == "999 done, 1 failed"
    html = grid_html(rows, "<note>")
    assert "b700" in html
    assert "<b>" not in html
    assert "<note>" not in html
    assert "900 more" in grid_text(rows, "")
    assert len(html) < 30_000
