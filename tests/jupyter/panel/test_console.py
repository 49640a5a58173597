"""The console's widget, driven as its page drives it, on a real service."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from runloop_jupyter.operations.lifecycle import create
from runloop_jupyter.output.output_targets import ScreenSize
from runloop_jupyter.resources.devboxes import DevboxInfo, describe
from runloop_jupyter.session import Session
from runloop_jupyter.widgets.console import Console
from runloop_jupyter.widgets.console_buffer import CHARACTERS, LINES, ConsoleBuffer, Printer
from runloop_jupyter.widgets.protocol.console import Piece
from tests.jupyter.panel.tool_page import MakeToolPage, ToolPage, tools

__all__ = ["tools"]


def pieces(page: ToolPage) -> list[list[str]]:
    """What the page shows."""
    shown: list[list[str]] = []
    for content, _ in page.raw:
        if content["op"] in ("snapshot", "cleared"):
            shown = []
        for piece in content.get("pieces", []):
            shown = taken_back(shown, int(piece[1])) if piece[0] == "back" else [*shown, piece]
    return shown


def taken_back(shown: list[list[str]], lines: int) -> list[list[str]]:
    """What is left of the pieces, as the page has it: see `Piece`."""
    while shown and shown[-1][0] in ("stdout", "stderr"):
        *above, (kind, text) = shown
        begun = text.split("\n")
        left = len(begun) - 1 - lines
        if left > 0:
            return [*above, [kind, "\n".join(begun[:left]) + "\n"]]
        shown, lines = above, -left
    return shown


def text(page: ToolPage, *kinds: str) -> str:
    """The texts of these kinds, else all output."""
    return "".join(text for kind, text in pieces(page) if kind in (kinds or ("stdout", "stderr")))


def state(page: ToolPage) -> dict[str, Any]:
    """The last that the page was told of it."""
    return [content for content, _ in page.raw if content["op"] == "state"][-1]


async def runs(page: ToolPage, command: str) -> str:
    """Run a command to its end, and return how it ended."""
    before = len(pieces(page))
    page.send("run", command=command)
    await page.until(lambda: len(pieces(page)) > before and not state(page)["running"], "its end")
    kind, words = [piece for piece in pieces(page) if piece[0] in ("good", "bad")][-1]
    return f"{kind}: {words}"


@pytest.fixture
async def box(session: Session) -> DevboxInfo:
    return await create(session, {"name": "consoled"}, keep_alive=600)


@pytest.fixture
async def page(session: Session, box: DevboxInfo, tools: MakeToolPage) -> ToolPage:
    return await tools(Console, session, box).open()


async def test_commands_share_a_directory_and_both_streams_come_in_order(page: ToolPage) -> None:
    assert (await runs(page, "mkdir -p a/b && cd a/b && export X=1")).startswith("good: exit code 0 · ")
    assert (await runs(page, "pwd; echo $X; echo err >&2; exit 3")).startswith("bad: exit code 3 · ")
    shown = [tuple(piece) for piece in pieces(page)]
    assert ("stderr", "err\n") in shown
    assert text(page, "stdout") == "/home/user/a/b\n1\n"
    assert page.saved.count("a/b") == 0  # nothing of it goes into the notebook's file


async def test_stop_kills_the_command_and_the_next_one_is_where_it_was(page: ToolPage) -> None:
    await runs(page, "mkdir -p here; cd here")
    page.send("run", command="sleep 987 & sleep 988")
    await page.until(lambda: page.tool.running and page.tool._command.run.started, "its start")
    assert page.tool.close_message == "Stopped 'sleep 987 & sleep 988' on consoled."
    page.send("stop")
    await page.until(lambda: not state(page)["running"], "its end")
    assert text(page, "bad").startswith("stopped after ")
    assert (await runs(page, "pwd; pgrep -f 'sleep 98[78]'")).startswith("bad: exit code 1")
    assert text(page) == "/home/user/here\n"


async def test_stop_before_the_start_is_kept_and_a_second_one_gives_up(
    page: ToolPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asyncio.Event()
    begin = page.tool._start

    async def late(command: Any) -> None:
        await run.wait()
        await begin(command)

    monkeypatch.setattr(page.tool, "_start", late)
    page.send("run", command="touch started; sleep 989")
    await page.until(lambda: state(page)["running"], "the beginning")
    page.send("stop")
    await page.until(lambda: state(page)["stopping"], "the wish")
    page.send("stop")
    await page.until(lambda: not state(page)["running"], "the end of waiting")
    assert text(page, "bad").startswith("given up after ")
    assert text(page, "bad").endswith("it may still run on consoled")
    run.set()
    monkeypatch.undo()
    assert (await runs(page, "while pgrep -f 'sleep 98[9]'; do sleep 0.1; done")).startswith("good")


async def test_lines_typed_meanwhile_are_its_input(page: ToolPage) -> None:
    page.send("run", command="read name; echo hello $name; cat; echo done")
    await page.until(lambda: page.tool.running and page.tool._command.run.started, "its start")
    page.send("input", text="Ada")
    await page.until(lambda: "hello Ada" in text(page), "the answer")
    page.send("input", text="rest")
    await page.until(lambda: "rest\n" in text(page), "the echo")
    page.send("end_input")
    await page.until(lambda: not state(page)["running"], "its end")
    assert text(page) == "hello Ada\nrest\ndone\n"
    assert text(page, "input") == "Adarest"
    page.send("input", text="echo not a command")
    await page.until(lambda: "nothing was sent" in page.problem, "the refusal")
    assert text(page, "command").count("not a command") == 0


async def test_one_command_at_a_time(page: ToolPage) -> None:
    page.send("run", command="sleep 60")
    await page.until(lambda: page.tool.running and page.tool._command.run.started, "its start")
    page.send("run", command="echo second")
    await page.until(lambda: "'sleep 60' still runs" in page.problem, "the refusal")
    page.send("stop")
    await page.until(lambda: not state(page)["running"], "its end")
    assert (await runs(page, "echo third")).startswith("good")
    assert page.problem == ""
    assert text(page) == "third\n"


async def test_a_flood_leaves_the_middle_out_and_saves_the_whole(page: ToolPage) -> None:
    assert (await runs(page, "seq 300000")).startswith("good")
    assert "not shown" in text(page, "quiet")
    assert text(page).endswith("299999\n300000\n")
    assert text(page).count("\n") < 30_000
    page.send("save")
    await page.until(lambda: "Saved the whole" in text(page, "quiet"), "the file")
    saved = await asyncio.to_thread(Path("consoled-output.txt").read_text)
    assert saved == "".join(f"{n}\n" for n in range(1, 300_001))
    page.send("save")
    await page.until(lambda: "consoled-output (1).txt" in text(page, "quiet"), "another file")


async def test_five_thousand_lines_are_shown_whole(page: ToolPage) -> None:
    await runs(page, "seq 4000")
    assert text(page) == "".join(f"{n}\n" for n in range(1, 4001))
    assert text(page, "quiet") == ""


async def test_progress_bars_are_one_line_and_escapes_that_are_no_colours_go(page: ToolPage) -> None:
    command = r"for n in $(seq 40); do printf '\r%d%%' $n; sleep 0.01; done; printf '\n\033[?7h\033[31mred\033[0m\n'"
    await runs(page, command)
    snapshot = (await ToolPage(page.tool, "v2").open()).told("snapshot")[-1]
    output = "".join(text for kind, text in snapshot["pieces"] if kind == "stdout")
    assert output == "\r40%\n\x1b[31mred\x1b[0m\n"


FRAMES = """echo before
for i in 1 2 3 4 5; do
  [ $i = 1 ] || printf '\\033[3A'
  printf '\\033[2Kone %s\\n\\033[2Ktwo %s\\n\\033[2Kthree %s\\n' $i $i $i >&2
  sleep 0.1
done
echo after"""


async def test_lines_are_drawn_anew_in_their_place(page: ToolPage) -> None:
    await runs(page, FRAMES)
    assert text(page).splitlines() == ["before", "one 5", "two 5", "three 5", "after"]
    assert text(await ToolPage(page.tool, "v2").open()) == text(page)
    assert any("back" in (kind for kind, _ in content.get("pieces", [])) for content, _ in page.raw)


def _asks(page: ToolPage, answer: str) -> bool:
    return f"{answer}\n" in text(page)


def _echoes(page: ToolPage, times: int) -> bool:
    return text(page, "input").count("go") >= times


async def test_what_was_told_between_lines_that_are_drawn_anew_stays(page: ToolPage) -> None:
    page.send("run", command=r"echo one; read x; printf '\033[Atwo\nthree\n'; read y; printf '\033[Afour\n'")
    for answer in ("one", "three"):
        await page.until(partial(_asks, page, answer), "the question")
        page.send("input", text="go")
        await page.until(partial(_echoes, page, 1 + (answer == "three")), "the echo")
    await page.until(lambda: not state(page)["running"], "its end")
    shown = [piece for piece in pieces(page) if piece[0] in ("stdout", "input")]
    runs_of_one = groupby(shown, key=itemgetter(0))  # what comes in two parts is shown in two pieces
    assert [(kind, "".join(words for _, words in run)) for kind, run in runs_of_one] == [
        ("stdout", "one\n"),
        ("input", "go"),
        ("stdout", "two\nthree\n"),
        ("input", "go"),
        ("stdout", "four\n"),
    ]


async def test_a_command_knows_how_wide_its_lines_are_shown(page: ToolPage) -> None:
    await runs(page, "echo $COLUMNS $TERM")
    assert text(page) == "100 xterm-256color\n"


async def test_a_second_view_gets_what_is_shown_what_runs_and_the_history(page: ToolPage) -> None:
    await runs(page, "echo one")
    await runs(page, "echo two")
    await runs(page, "echo one")
    page.send("run", command="echo three; sleep 60")
    await page.until(lambda: "three" in text(page), "its output")
    second = await ToolPage(page.tool, "v2").open()
    snapshot = second.told("snapshot")[-1]
    assert snapshot["history"] == ["echo two", "echo one", "echo three; sleep 60"]
    assert second.told("state")[-1]["running"] is True
    assert text(second) == text(page)
    page.send("clear")
    await second.until(lambda: pieces(second) == [], "the clearing")
    page.tool.close()


async def test_closing_ends_the_command(session: Session, box: DevboxInfo, page: ToolPage) -> None:
    page.send("run", command="sleep 977")
    await page.until(lambda: page.tool.running and page.tool._command.run.started, "its start")
    page.tool.close()
    devbox = (await session.client.sdk()).devbox.from_id(box.id)
    check = "for n in $(seq 1000); do pgrep -f 'sleep 97[7]' || exit 0; sleep 0.1; done; exit 1"
    assert (await devbox.cmd.exec(check)).exit_code == 0


async def test_a_devbox_that_ends_is_told_and_so_it_is_when_asked_again(
    session: Session, box: DevboxInfo, page: ToolPage
) -> None:
    page.send("run", command="sleep 60")
    await page.until(lambda: page.tool.running and page.tool._command.run.started, "its start")
    await (await session.client.sdk()).devbox.from_id(box.id).shutdown()
    await page.until(lambda: not state(page)["running"], "its end")
    assert "shut down" in text(page, "bad")
    assert "shut down" in await runs(page, "echo more")


async def test_a_suspended_devbox_is_told(session: Session, box: DevboxInfo, page: ToolPage) -> None:
    devbox = (await session.client.sdk()).devbox.from_id(box.id)
    await devbox.suspend()
    await devbox.await_suspended()
    assert describe(await devbox.get_info()).status == "suspended"
    assert "suspended" in await runs(page, "echo more")


async def test_empty_commands_and_nothing_to_save_or_stop(page: ToolPage) -> None:
    for op, content in (("run", {"command": " \n"}), ("stop", {}), ("end_input", {})):
        page.send(op, **content)
    page.send("save")
    await page.until(lambda: "no output to save" in page.problem, "the sentence")
    assert pieces(page) == []
    assert page.tool.close_message == ""


def test_a_scroll_keeps_the_last_lines_and_merges_small_pieces() -> None:
    scroll = ConsoleBuffer()
    scroll.add(Piece("stdout", f"{n}\n") for n in range(3 * LINES))
    kept = "".join(text for _, text in scroll.pieces).splitlines()
    assert kept[-1] == str(3 * LINES - 1)
    assert LINES / 2 < len(kept) <= LINES
    assert len(scroll.pieces) < 100
    scroll.add([Piece("stdout", "x" * CHARACTERS), Piece("stdout", "y")])
    assert scroll.pieces == [("stdout", "y")]
    scroll.clear()
    scroll.add(
        [
            Piece("stdout", "a\n10%"),
            Piece("stdout", "\r20%"),
            Piece("stderr", "!"),
            Piece("stdout", "b"),
            Piece("quiet", "q"),
            Piece("stdout", "c"),
        ]
    )
    assert scroll.pieces == [("stdout", "a\n\r20%"), ("stderr", "!"), ("stdout", "b"), ("quiet", "q"), ("stdout", "c")]


async def test_a_line_without_an_end_costs_no_more_as_it_grows() -> None:
    sent: list[Piece] = []
    printer = Printer(sent.extend)
    for _ in range(200):
        printer.write("stdout", "y" * 4000)
        printer.flush()
    assert len(printer._folder.line) < 25_000
    assert not any("\r" in text for _, text in sent)


async def test_a_printer_sends_little_after_a_burst_and_catches_its_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Piece] = []
    printer = Printer(sent.extend)
    flood = "".join(f"{n}\n" for n in range(LINES * 2))
    printer.write("stdout", flood)
    printer.flush()
    assert sum(text.count("\n") for kind, text in sent if kind == "stdout") == LINES
    sent.clear()
    printer.write("stdout", flood)
    printer.flush()
    assert sum(text.count("\n") for kind, text in sent if kind == "stdout") < 500
    assert sent[-1][1].endswith(f"{LINES * 2 - 1}\n")
    assert "not shown" in sent[0][1]


DRAWINGS = {
    "lines above": ("a\nb\nc\n\x1b[2AB\n", "a\nB\nc\n"),
    "all lines": ("a\nb\n\x1b[2A\x1b[JA\n", "A\n"),
    "a line without an end": ("a\nb\x1b[AA\n", "aA\nb\n"),
    "more lines than before": ("a\n\x1b[Ax\ny\nz\n", "x\ny\nz\n"),
    "fewer lines than before": ("a\nb\nc\n\x1b[3A\x1b[J1\n", "1\n"),
    "the whole screen": ("a\nb\n\x1b[H\x1b[2Jc\n", "c\n"),
    "colours": ("\x1b[31ma\x1b[0m\nb\n\x1b[2A\x1b[32mc\x1b[0m\n", "\x1b[0;32mc\x1b[0m\nb\n"),
    "a bar below": ("a\n\x1b[A10%\r20%\r30%\n", "30%\n"),
    "a hidden cursor": ("a\n\x1b[?25l50%\r100%\n\x1b[?25h", "a\n100%\n"),
    "above the screen": ("".join(f"{n}\n" for n in range(9)) + "\x1b[9Ax\n", "0\n1\n2\n3\n4\nx\n6\n7\n8\n"),
    "a long line": ("x" * 45 + "\n\x1b[3Ay\n", "y" + "x" * 44 + "\n"),
    "plain text again": ("a\n\x1b[Ab\n" + "c\n" * 9 + "d\x1b[A\n", "b\n" + "c\n" * 9 + "d\n"),
}


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("case", DRAWINGS)
async def test_a_program_draws(case: str, size: int) -> None:
    drawn, right = DRAWINGS[case]
    scroll = ConsoleBuffer()
    printer = Printer(scroll.add, ScreenSize(20, 5))
    for start in range(0, len(drawn), size):
        printer.write("stdout", drawn[start : start + size])
        printer.flush()
    assert "".join(words for _, words in scroll.pieces) == right


async def test_a_flood_of_drawings_is_left_out_but_for_its_end() -> None:
    scroll = ConsoleBuffer()
    printer = Printer(scroll.add)
    printer.write("stdout", "".join(f"\x1b[H{n}\n" for n in range(40_000)))
    printer.flush()
    assert [kind for kind, _ in scroll.pieces] == ["quiet", "stdout"]
    assert "39999\n" in scroll.pieces[-1][1]


def test_taking_back_ends_at_what_was_told() -> None:
    scroll = ConsoleBuffer()
    scroll.add([Piece("stdout", "a\n"), Piece("quiet", "q"), Piece("stdout", "b\nc\n")])
    scroll.add([Piece("stderr", "d\ne"), Piece("back", "1")])
    assert scroll.pieces == [("stdout", "a\n"), ("quiet", "q"), ("stdout", "b\nc\n")]
    scroll.add([Piece("back", "7")])
    assert scroll.pieces == [("stdout", "a\n"), ("quiet", "q")]
