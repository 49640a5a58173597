"""What is new in a window of logs."""

from __future__ import annotations

import random

from runloop_jupyter.log_lines import LogLines, said
from runloop_sdk.models.logs import Log


def line(message: str, *, level: str = "info", cmd_id: str = "c1", at: int = 1) -> Log:
    return Log(level=level, source="exec", timestamp_ms=at, cmd_id=cmd_id, message=message)


def lines(*messages: object, **more: object) -> list[Log]:
    return [line(str(message), **more) for message in messages]  # type: ignore[arg-type]


def told(found: list[Log]) -> list[str]:
    return ["gap" if each.level == "gap" else said(each) for each in found]


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
