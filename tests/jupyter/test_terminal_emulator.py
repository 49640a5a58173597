"""What programs draw on a terminal's screen, as pyte, another emulator, has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from runloop_jupyter.output.terminal_emulator import TerminalEmulator
from runloop_jupyter.output.terminal_text import EscapeFilter

COLUMNS, ROWS = 60, 6
E = "\x1b["
Row = list[tuple[Any, ...]]


class Reference(pyte.HistoryScreen):
    """Pyte's screen, as xterm does it where they differ: history, blank lines that move, what is out of margins."""

    def cursor_up(self, count: int | None = None) -> None:
        top = self.margins.top if self.margins and self.cursor.y >= self.margins.top else 0
        self.cursor.y = max(self.cursor.y - (count or 1), top)

    def cursor_down(self, count: int | None = None) -> None:
        bottom = self.margins.bottom if self.margins and self.cursor.y <= self.margins.bottom else self.lines - 1
        self.cursor.y = min(self.cursor.y + (count or 1), bottom)

    def ensure_vbounds(self, use_margins: bool | None = None) -> None:
        super().ensure_vbounds(use_margins=False)

    def insert_lines(self, count: int | None = None) -> None:
        self._fill()
        super().insert_lines(count)

    def delete_lines(self, count: int | None = None) -> None:
        self._fill()
        super().delete_lines(count)

    def _fill(self) -> None:
        for y in range(self.lines):
            self.buffer[y] = self.buffer[y]

    def index(self) -> None:
        pyte.Screen.index(self) if self.margins and self.margins.top else super().index()


def rows_of(text: str, *, lines: int = ROWS) -> list[Row]:
    """All that pyte has of a text, what scrolled out of a screen of so many lines before what is on it."""
    screen = Reference(COLUMNS, lines, history=5000, ratio=0.001)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(text)
    rows = [
        [row[x] for x in range(COLUMNS)] for row in [*screen.history.top, *(screen.buffer[y] for y in range(lines))]
    ]
    shown = [trimmed([(cell.data, *cell[1:]) if cell.data != " " else (" ",) for cell in whole(row)]) for row in rows]
    while shown and not shown[-1]:
        shown.pop()
    return shown


def whole(row: list[Any]) -> list[Any]:
    """A row without halves of wide characters, which are spaces in xterm."""
    pairs = {
        x + 1
        for x, cell in enumerate(row)
        if wcwidth(cell.data[:1]) == 2 and row[x + 1 : x + 2] and not row[x + 1].data
    }
    halves = [
        x
        for x, c in enumerate(row)
        if (not c.data and x not in pairs) or (wcwidth(c.data[:1]) == 2 and x + 1 not in pairs)
    ]
    return [cell._replace(data=" ") if x in halves else cell for x, cell in enumerate(row)]


def trimmed(row: Row) -> Row:
    while row and row[-1] == (" ",):
        row.pop()
    return row


def drawn(*texts: str, columns: int = COLUMNS, rows: int = ROWS) -> str:
    """What the emulator makes of texts that come one after the other."""
    through, screen = EscapeFilter(moves=True), TerminalEmulator(columns, rows)
    return "".join(screen.feed(through.feed(text)) for text in texts) + screen.text


COUNT = st.integers(0, 9).map(lambda n: str(n or ""))
WORD = st.lists(st.sampled_from(["a", "b", " ", "#", "é", "漢", "🎉", "a\u0301"]), min_size=1, max_size=4).map("".join)
MOVE = st.builds(lambda count, final: f"{E}{count}{final}", COUNT, st.sampled_from("ABCDEFGLMP@Xd"))
ERASE = st.sampled_from([f"{E}{how}{final}" for how in ("", 0, 1, 2) for final in "JK"])
PLACE = st.builds(lambda y, x: f"{E}{y};{x}H", st.integers(1, 7), st.integers(1, 20))
COLOUR = st.sampled_from(["0", "1", "31", "1;32", "38;5;200", "48;2;1;2;3", "7", "22", "39", "49", "", "3;4;9", "24"])
SGR = COLOUR.map(lambda parameters: f"{E}{parameters}m")
OTHER = st.sampled_from(["\r", "\b", "\t", "\r\n", f"{E}?25l", f"{E}?25h", "\x1bM", "\x1bD", "\x1bE"])
SAVED = st.builds(lambda place, colour, word: f"\x1b7{place}{colour}{word}\x1b8", PLACE, SGR, WORD)
MARGINS = st.sampled_from([f"{E}1;4r", f"{E}2;5r", f"{E}1;6r"])
PIECE = st.one_of(WORD, WORD, st.just("\n"), st.just("\n"), MOVE, MOVE, ERASE, PLACE, SGR, OTHER, SAVED, MARGINS)
TEXT = st.lists(PIECE, max_size=12).map("".join)


@given(TEXT)
def test_a_screen_is_as_another_emulator_has_it(text: str) -> None:
    assert rows_of(drawn(text), lines=200) == rows_of(text)


@given(TEXT, st.data())
def test_it_does_not_matter_where_a_text_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert drawn(*parts) == drawn(text)
    assert drawn(*text) == drawn(text)


SCREENS = {
    "nothing": ("", ""),
    "lines": ("a\nb\n", "a\nb\n"),
    "blank lines stay": ("a\n\n\nb", "a\n\n\nb\n"),
    "windows lines": ("a\r\nb\r\n", "a\nb\n"),
    "up": (f"1\n2\n3\n{E}2Ax", "1\nx\n3\n"),
    "up beyond the top": (f"1\n2\n{E}99Ax", "x\n2\n"),
    "what scrolled out stays": ("".join(f"{n}\n" for n in range(9)) + f"{E}99AX", "0\n1\n2\n3\nX\n5\n6\n7\n8\n"),
    "erased lines are gone": (f"1\n2\n3\n{E}3A{E}J", ""),
    "clear and home": (f"1\n2\n{E}2J{E}Hx", "x\n"),
    "long lines are one line": ("x" * 25, "x" * 25 + "\n"),
    "a long line written over": (f"{'x' * 25}\n{E}3A{E}Jshort", "short\n"),
    "spaces at the end of a row": ("x" * 9 + " y", "x" * 9 + " y\n"),
    "wide characters": ("漢字漢字漢字", "漢字漢字漢字\n"),
    "half a wide character": (f"漢字{E}3D\b!", "! 字\n"),
    "a wide character in the last column": ("x" * 9 + "漢", "x" * 9 + "漢\n"),
    "far to the right": (f"{E}999Cx", " " * 9 + "x\n"),
    "far down": (f"1{E}999Bx", "1\n\n\n\n\n x\n"),
    "repeated": (f"-{E}4b.", "-----.\n"),
    "tabs": ("a\tb", "a       b\n"),
    "colours": (f"{E}31mred{E}m {E}1mbold", f"{E}0;31mred{E}0m {E}0;1mbold{E}0m\n"),
    "a background is erased with": (f"{E}44m{E}K{E}m", f"{E}0;44m{' ' * 10}{E}0m\n"),
    "another screen": (f"before\n{E}?1049h{E}Hfull{E}?1049lafter", "before\nafter\n"),
    "another screen, scrolled": ("before\n" + f"{E}?1049h" + "x\n" * 20 + f"{E}?1049lafter", "before\nafter\n"),
    "scrolled by a count": (f"1\n2\n3{E}2Sx", "1\n2\n3\n\n x\n"),
    "a region that scrolls": (
        f"{E}6;1Hbar{E}1;5r" + "".join(f"{n}\n" for n in range(7)),
        "0\n1\n2\n3\n4\n5\n6\n\nbar\n",
    ),
    "a reset": (f"{E}31ma\x1bcb", "b\n"),
    "unknown": (f"a{E}5n{E}>c{E}?2004h{E}4 q{E}99999999999999999999Ab\x1b]0;t\x07c", "abc\n"),
}


@pytest.mark.parametrize(("text", "shown"), SCREENS.values(), ids=SCREENS)
def test_a_program_draws(text: str, shown: str) -> None:
    assert drawn(text, columns=10) == shown


def test_lines_that_are_shown_elsewhere_are_shown_once_they_change() -> None:
    screen = TerminalEmulator(20, 4)
    screen.feed("1\n2\n3\n")
    screen.know_lines_above()
    assert screen.feed("4\n") == ""
    assert screen.text == "4\n"
    screen.feed(f"{E}2AX")
    assert screen.text == "X\n4\n"


@pytest.mark.parametrize("character", [*map(chr, range(0x40, 0x7F))])
def test_whatever_count_there_is_no_escape_takes_long_or_grows_the_screen(character: str) -> None:
    screen = TerminalEmulator(20, 4)
    for text in (
        f"x\n{E}99999{character}y",
        f"{E}0;0;0{character}",
        f"{E}?99{character}",
        f"{E};9999{character}\n" * 50,
    ):
        screen.feed(EscapeFilter(moves=True).feed(text))
    assert screen.text.count("\n") <= 4
    assert len(screen.text) < 200


FLOODS: dict[str, Callable[[int], str]] = {
    "frames": lambda size: f"{E}3A{E}2Kone\n{E}2Ktwo\n{E}2Kthree\n" * (4 * size),
    "scrolling": lambda size: f"{E}9999S" * (20 * size),
    "a long line": lambda size: "x" * (200 * size),
    "wide and combined": lambda size: "漢\u0301" * (40 * size),
    "colours": lambda size: f"{E}38;2;1;2;3;48;5;4mx" * (20 * size),
    "parameters": lambda size: f"{E}{'1;' * 500}m" * max(size // 50, 1),
    "repeated": lambda size: f"x{E}9999b" * (10 * size),
    "other screens": lambda size: f"{E}?1049hx" * (40 * size),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_hostile_flood_costs_no_more_than_its_length(flood: Callable[[int], str]) -> None:
    def cost(size: int) -> float:
        text = flood(size)
        begun = time.process_time()
        drawn(text)
        return time.process_time() - begun

    small = min(cost(50) for _ in range(5))
    assert min(cost(400) for _ in range(2)) < 24 * small + 0.05  # it is 8 times as long: 64 times would be its square
