"""Escapes, carriage returns and backspaces: what a notebook gets of a terminal's output."""

import time
from collections.abc import Callable

import pytest

from runloop_jupyter.output.terminal_text import EscapeFilter, LineFolder, safe_text

FILTERED = {
    "plain text": ("a\tb\r\nc\b", "a\tb\r\nc\b"),
    "colours": (
        "\x1b[1;31mred\x1b[m \x1b[38;5;200m#\x1b[38:2::1:2:3m",
        "\x1b[1;31mred\x1b[m \x1b[38;5;200m#\x1b[38:2::1:2:3m",
    ),
    "cursor moves": ("\x1b[5;3Ha\x1b[2Ab\x1b[2Jc\x1b[?25l", "abc"),
    "first column": ("50%\x1b[G60%\x1b[1G70%\x1b[7G", "50%\r60%\r70%"),
    "erase line": ("\x1b[K\x1b[2K\x1b[?1K", "\x1b[K\x1b[2K"),
    "link, ended by ST": ("\x1b]8;;https://x.y/\x1b\\here\x1b]8;;\x1b\\.", "here."),
    "title, ended by BEL": ("\x1b]0;title\x07text", "text"),
    "character set": ("\x1b(Bx\x1b)0y", "xy"),
    "device string": ("\x1bPq#0\x1b\\z", "z"),
    "bell and other controls": ("a\x07b\x00c\x7f\x0c", "abc"),
    "half a character": ("a\ud800b", "ab"),
    "more than colours": ("\x1b[>4;2mx\x1b[4 qy", "xy"),
    "a title without end": ("\x1b]0;title\nnext", "0;title\nnext"),
    "CSI of one character": ("\x9b31mx\x9b2Jy\x9b", "xy"),
    "link of one character": ("\x9d8;;https://x.y/\x9chere\x9d0;t\x07.", "here."),
    "strings of one character": ("\x90q#0\x9cz\x98a\x9c\x9eb\x1b\\\x9fc\x07.", "z."),
    "a clipboard": ("\x1b]52;c;aGk=\x07x\x9d52;c;aGk=\x9cy", "xy"),
    "other controls of one character": ("a\x85b\x80c\x9cd", "abcd"),
    "unicode": ("漢é🎉\x1b[0m", "漢é🎉\x1b[0m"),
}


@pytest.mark.parametrize(("text", "kept"), FILTERED.values(), ids=FILTERED)
def test_the_filter_keeps_what_a_notebook_can_show(text: str, kept: str) -> None:
    assert EscapeFilter().feed(text) == kept


@pytest.mark.parametrize("text", [text for text, _ in FILTERED.values()], ids=FILTERED)
def test_the_filter_does_not_mind_where_the_text_is_cut(text: str) -> None:
    whole = EscapeFilter().feed(text)
    for cut in range(len(text)):
        two = EscapeFilter()
        assert two.feed(text[:cut]) + two.feed(text[cut:]) == whole
    one_by_one = EscapeFilter()
    assert "".join(one_by_one.feed(character) for character in text) == whole


@pytest.mark.parametrize("number", [*range(0x20), *range(0x7F, 0xA0)])
def test_no_control_character_is_left_but_a_lines_own(number: int) -> None:
    shown = EscapeFilter().feed(f"a{chr(number)}b{chr(number)}31mc\n")
    assert not [char for char in shown if not char.isprintable() and char not in "\b\t\n\r"]


def test_a_whole_text_is_shown_as_far_as_there_is_room() -> None:
    assert safe_text("\x1b[31mred\x1b]0;t\x07\x9b2J\x1b[m") == "\x1b[31mred\x1b[m"
    assert safe_text("x" * 50, 10) == "x" * 10 + "\x1b[0m\n... (cut: only the first 10 of 50 characters)"


def test_an_escape_without_end_is_not_waited_for_for_ever() -> None:
    text = EscapeFilter()
    shown = text.feed("\x1b]" + "x" * 3000) + text.feed("y" * 3000) + text.feed("z")
    assert shown == "x" * 3000 + "y" * 3000 + "z"


FOLDED = {
    "plain": (["a\nb", "c\n"], ["a\nb", "c\n"]),
    "windows newlines": (["a\r\nb\r", "\nc"], ["a\nb", "\nc"]),
    "redraws in one text": (["1%\r2%\r3%"], ["3%"]),
    "redraws one by one": (["1%", "\r2%", "\r3%\n"], ["1%", "\r2%", "\r3%\n"]),
    "return at the end": (["1%\r", "2%\r", "\n"], ["1%", "\r2%", "\n"]),
    "shorter over longer": (["long", "\rX", "Y", "\n"], ["long", "\rXong", "\rXYng", "\n"]),
    "erased, then shorter": (["long", "\r\x1b[KX", "Y\n"], ["long", "\rX   ", "\rXY  \n"]),
    "erase all, then return": (["long\x1b[2K\rX\n"], ["X   \n"]),
    "erase what is before": (["long\x1b[1K\n"], ["    \n"]),
    "a redraw cut in two": (["[##  ]", "\r[##", "# ]\n"], ["[##  ]", "", "\r[### ]\n"]),
    "spinner": (["|", "\b/", "\b-\b", "\\\b", "ok\n"], ["|", "\r/", "\r-", "\r\\", "\rok\n"]),
    "typed and erased": (["abc\b \b\b \bX\n"], ["aX \n"]),
    "backspace at the beginning": (["\b\ba\n"], ["a\n"]),
    "colours take no room": (
        ["\x1b[32m10%\x1b[0m", "\r\x1b[32m11%\x1b[0m\n"],
        ["\x1b[32m10%\x1b[0m", "\r\x1b[32m11%\x1b[0m\n"],
    ),
    "colours beyond the cursor stay": (["\x1b[31mabc", "\rX\n"], ["\x1b[31mabc", "\rX\x1b[31mbc\n"]),
    "backspace over colour": (["a\x1b[0m\bb\n"], ["\x1b[0mb\n"]),
}


@pytest.mark.parametrize(("texts", "shown"), FOLDED.values(), ids=FOLDED)
def test_a_line_is_redrawn_as_a_terminal_would(texts: list[str], shown: list[str]) -> None:
    folder = LineFolder()
    assert [folder.feed(text) for text in texts] == shown


@pytest.mark.parametrize(("texts", "size"), [(["12\n", "3"], 4), (["10%", "\r20%", "\r30%"], 3), (["a\r\nb\r\n"], 4)])
def test_what_is_written_over_is_not_counted(texts: list[str], size: int) -> None:
    folder = LineFolder()
    for text in texts:
        folder.feed(text)
    assert folder.size == size


def test_a_new_item_begins_on_an_empty_line() -> None:
    folder = LineFolder()
    folder.feed("abc")
    folder.next_item()
    assert folder.feed("\rX") == "X"
    assert folder.size == 4


FLOODS: dict[str, Callable[[int], str]] = {
    "progress": lambda size: "\r\x1b[32m 10%\x1b[0m |####    |" * (30 * size),
    "backspaces": lambda size: "x" * 4000 + "\b \b" * (100 * size),
    "long coloured line": lambda size: "\x1b[31mx" * (100 * size) + "\ry" * (100 * size),
    "titles without end": lambda size: "\x1b]" * (200 * size),
    "titles of one character without end": lambda size: "\x9d" * (100 * size),
    "others without end": lambda size: "\x90\x98\x9e\x9f" * (25 * size),
    "titles in titles": lambda size: "\x1b]0;\x9d" * (40 * size),
    "colours and backspaces": lambda size: "\x1b[31m" * (100 * size) + "\b" * (100 * size),
    "long redraws": lambda size: ("x" * (50 * size) + "\r") * 20,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_hostile_output_costs_no_more_than_its_length(flood: Callable[[int], str]) -> None:
    def cost(size: int) -> float:
        text = flood(size)
        begun = time.process_time()
        LineFolder().feed(EscapeFilter().feed(text))
        return time.process_time() - begun

    small = min(cost(125) for _ in range(5))
    assert min(cost(1000) for _ in range(2)) < 24 * small + 0.05  # it is 8 times as long: 64 times would be its square
