"""What is new in a window of logs."""

from __future__ import annotations

import random

import pytest

from runloop_jupyter.executions.command_spec import CommandSpec, typed
from runloop_jupyter.output.log_lines import LogLines, display_text
from runloop_jupyter.output.output_targets import ScreenSize
from runloop_jupyter.remote import code_of, is_cell, program
from runloop_sdk.models.logs import Log


def line(message: str, *, level: str = "info", cmd_id: str = "c1", at: int = 1) -> Log:
    return Log(level=level, source="exec", timestamp_ms=at, cmd_id=cmd_id, message=message)


def lines(*messages: object, **more: object) -> list[Log]:
    return [line(str(message), **more) for message in messages]  # type: ignore[arg-type]


def told(found: list[Log]) -> list[str]:
    return ["gap" if each.level == "gap" else display_text(each) for each in found]


def test_lines_of_both_streams_are_new_once_however_they_are_sorted_and_timed() -> None:
    seen = LogLines()
    assert told(seen.new(lines(1, 2, at=5) + lines("e1", level="error", at=5))) == ["1", "2", "e1"]
    later = lines(1, 2, 3, at=6) + lines("e1", "e2", level="error", at=6)
    assert told(seen.new(later)) == ["3", "e2"]
    assert seen.new(later) == []


def test_a_window_that_moved_gives_what_follows_and_says_what_was_missed() -> None:
    seen = LogLines()
    seen.new(lines(*range(100)))
    assert told(seen.new(lines(*range(60, 160)))) == [str(n) for n in range(100, 160)]
    assert told(seen.new(lines(*range(500, 600))))[:2] == ["gap", "500"]


def test_a_line_that_had_not_ended_gives_what_was_added() -> None:
    seen = LogLines()
    assert told(seen.new(lines("a", "half"))) == ["a", "half"]
    assert told(seen.new(lines("a", "half a line", "b"))) == ["… a line", "b"]
    assert told(seen.new(lines("b", "c"))) == ["c"]
    alone = LogLines()
    alone.new(lines("who? "))
    assert told(alone.new(lines("who? me"))) == ["…me"]


def test_a_commands_first_and_last_line_do_not_move_with_the_window() -> None:
    begin = Log(level="info", source="exec", timestamp_ms=1, cmd_id="c1", cmd="seq")
    end = Log(level="info", source="exec", timestamp_ms=9, cmd_id="c1", exit_code=0)
    seen = LogLines()
    assert told(seen.new([begin, *lines(*range(100))]))[0] == "$ seq"
    assert told(seen.new([begin, *lines(*range(50, 102)), end])) == ["100", "101", "exit code 0"]


def test_commands_that_left_the_window_are_forgotten_and_others_are_told_apart() -> None:
    seen = LogLines()
    seen.new(lines(1, cmd_id="a") + lines(1, cmd_id="b"))
    assert told(seen.new(lines(1, cmd_id="b") + lines(1, cmd_id="c"))) == ["1"]


def test_any_window_of_any_lines_is_joined_without_loss() -> None:
    dice = random.Random(7)
    for _ in range(300):
        whole = [dice.choice("ab\ny") + str(dice.randrange(3)) for _ in range(dice.randrange(1, 60))]
        whole = [f"{text}{index // 4}" for index, text in enumerate(whole)]
        seen, got, end = LogLines(), [], 0
        while end < len(whole):
            grown = min(end + dice.randrange(0, 8), len(whole))
            got += told(seen.new(lines(*whole[max(grown - 20, 0) : grown])))
            end = grown
        assert got == whole


ORDERS = {
    "plain": CommandSpec("echo a"),
    "shown": CommandSpec("echo a\necho b", size=ScreenSize()),
    "with surroundings": CommandSpec("echo 'it'", cwd="~/a b", env=(("A", "x'y; z"),), size=ScreenSize()),
    "as another": CommandSpec('echo "$HOME" `id`', user="root", size=ScreenSize()),
    "on a terminal": CommandSpec("echo $'a\\n';", size=ScreenSize(), terminal=True),
    "as another on a terminal": CommandSpec(
        "cat <<E\n'\nE", user="o'neil", size=ScreenSize(), terminal=True, interactive=True
    ),
    "with nothing": CommandSpec("", cwd="/tmp"),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_command_is_told_as_it_was_typed(order: CommandSpec) -> None:
    assert typed(order.prepared) == order.command
    begin = Log(level="info", source="exec", timestamp_ms=1, cmd_id="c1", cmd=order.prepared)
    assert display_text(begin) == f"$ {order.command}".rstrip()


@pytest.mark.parametrize(
    "command", ["echo ': runloop_jupyter; x'", "id -u -- 'x", "command -v python3 x", "exec a -c b"]
)
def test_a_command_of_others_is_told_as_it_is(command: str) -> None:
    assert typed(command) == command
    assert not is_cell(command)


@pytest.mark.parametrize("argument", ["@/tmp/x", "!", "", "bm8=", "e30=", "W10=", "Ww==" * 100])
def test_a_cell_of_which_the_command_says_no_code_is_a_cell(argument: str) -> None:
    command = f"exec python3 -c '{program()}' {argument}"
    assert (is_cell(command), code_of(command)) == (True, "")


STRUCTURED = {
    "a display": ('\x1e0123456789abcdef{"kind": "display", "data": {"text/plain": "42", "text/html": "<b>"}}', ["42"]),
    "after a text": ('text\x1e0123456789abcdef{"kind": "display", "data": {"text/plain": "42"}}', ["text42"]),
    "without its mark": ('0123456789abcdef{"kind": "new"}', []),
    "no display": ('\x1e0123456789abcdef{"kind": "values", "data": "abcd"}', []),
    "cut short": ('\x1e0123456789abcdef{"kind": "display", "data": {"text/', []),
    "deep": ("\x1e0123456789abcdef{" + "[" * 100_000, []),
    "no word": ('\x1eabc{"kind": "new"}', ['\x1eabc{"kind": "new"}']),
    "JSON": ('{"kind": "display"}', ['{"kind": "display"}']),
    "an empty line": ("", [""]),
}


@pytest.mark.parametrize(("message", "shown"), STRUCTURED.values(), ids=STRUCTURED)
def test_what_a_python_session_says_to_the_notebook_is_left_out(message: str, shown: list[str]) -> None:
    assert told(LogLines().new(lines(message))) == shown
