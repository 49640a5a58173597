"""A terminal emulator: programs move the cursor on its screen, overwrite, erase and scroll lines.

Its input is the output of an `EscapeFilter` with `moves`, so every escape sequence is complete and known. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby, repeat
from operator import itemgetter

from wcwidth import wcwidth

from .sgr import BLANK, Cell, Style

_TOKEN = re.compile(r"\x1b\[(\??[0-9;:]*)([@-~])|\x1b([78DEMc])|([\n\r\b\t])|([^\x00-\x1f\x7f]+)")
_MAX_COUNT = 9999  # of cells or lines, in a parameter
_TAB = 8
_LONGEST_CHARACTER = 8  # code points, including combining ones
_ALTERNATE = {"?47", "?1047", "?1049"}


class _Row:
    """One line of the screen; `wrapped` is true if its text continues on the next line."""

    __slots__ = ("cells", "wrapped")

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.wrapped = False

    @property
    def text(self) -> str:
        """The text with its colours, and with a newline unless it is wrapped."""
        return _coloured(self._shown) + ("" if self.wrapped else "\n")

    @property
    def is_blank(self) -> bool:
        """True if the line shows nothing."""
        return not self._shown

    @property
    def _shown(self) -> list[Cell]:
        end = len(self.cells)
        while end and self.cells[end - 1] == BLANK and not self.wrapped:
            end -= 1
        return self.cells[:end]

    def write(self, x: int, cells: list[Cell]) -> None:
        """Replace the cells from `x` on."""
        end = x + len(cells)
        self.cells += [BLANK] * (x - len(self.cells))
        self.cells[x:end] = cells
        self.repair(x)
        self.repair(end)

    def erase(self, start: int, end: int, blank: Cell) -> None:
        """Replace the cells from `start` up to `end` with blanks."""
        if blank == BLANK and end >= len(self.cells):
            del self.cells[start:]
            self.repair(start)
        else:
            self.write(start, [blank] * (end - start))

    def repair(self, x: int) -> None:
        """Replace a half of a wide character with a space, if one was left at either side of `x`."""
        has_first_half = x > 0 and _is_wide(self.cells[x - 1 : x])
        has_second_half = self.cells[x : x + 1] != [] and not self.cells[x][1]
        if has_first_half and not has_second_half:
            self.cells[x - 1] = BLANK
        elif has_second_half and not has_first_half:
            self.cells[x] = BLANK


class TerminalEmulator:
    """A screen of `rows` lines with `columns` characters each, empty at first.

    `feed` returns the lines that scrolled out at the top, which no longer change; `text` is the screen's content.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.known = 0
        """The number of lines at the top that are shown elsewhere: they are left out until they change."""
        self.still = 0
        """The number of lines that have scrolled out since the cursor was last moved."""
        self._columns = max(columns, 2)  # room for a wide character
        self._height = rows
        self._rows: list[_Row] = []
        self._x = self._y = 0
        self._last = ""  # the character that CSI b repeats
        self._style = Style()
        self._saved = (0, 0, Style())
        self._top, self._bottom = 0, rows - 1
        # The main screen while a program such as vim uses the alternate one, which has no scrollback.
        self._main: tuple[list[_Row], int, int, int] | None = None
        self._out: list[str] = []

    def feed(self, text: str) -> str:
        """Process text; returns the lines that it scrolled out."""
        self._out = []
        for token in _TOKEN.finditer(text):
            parameters, final, short, control, plain = token.groups()
            if plain:
                self._put(plain)
            elif control:
                _CONTROLS[control](self)
            elif final == "m":
                self._style.change(parameters)
            else:
                # Erasing to the right changes no line above: plain output of many tools ends its lines with it.
                self.still = self.still if final == "K" else 0
                _SHORT[short](self) if short else self._escape(parameters, final)
        return "".join(self._out)

    @property
    def text(self) -> str:
        """The lines after the known ones, up to the last that shows something, each with its newline."""
        end = len(self._rows)
        while end > self._y and self._rows[end - 1].is_blank:
            end -= 1
        return "".join(row.text for row in self._rows[self.known : end])

    @property
    def at_line_start(self) -> bool:
        """True if the cursor is on an empty line below all others."""
        return self._main is None and all(row.is_blank for row in self._rows[self._y :])

    def know_lines_above(self) -> None:
        """Mark the lines above the cursor as shown elsewhere."""
        self.known = self._y

    def leave_alternate(self) -> None:
        """Switch back to the main screen, also after a program that was killed."""
        if self._main is not None:
            self._rows, self._y, self._x, self.known = self._main
            self._main = None
            self._top, self._bottom = 0, self._height - 1

    def _escape(self, parameters: str, final: str) -> None:
        if parameters.startswith("?"):
            if parameters in _ALTERNATE:
                self._enter_alternate() if final == "h" else self.leave_alternate()
            return
        if final in _ESCAPES:
            first, _, second = parameters.partition(";")
            _ESCAPES[final](self, first, second)

    def _enter_alternate(self) -> None:
        if self._main is None:
            self._main = self._rows, self._y, self._x, self.known
            self._rows, self.known = [], 0

    def _row(self, y: int) -> _Row:
        """The line `y`, which is about to change."""
        self._fill(y)
        self.known = min(self.known, y)
        return self._rows[y]

    def _fill(self, y: int) -> None:
        while len(self._rows) <= y:
            self._rows.append(_Row())

    def _put(self, text: str) -> None:
        self._last = text[-1]
        marks, cells = _cells(self._style.parameters, text)
        if marks:
            self._combine(marks)
        start = 0
        while start < len(cells):
            # The cursor stays behind the last column until there is more to print, as in xterm: a line that is exactly
            # as wide as the screen is not followed by an empty one.
            if self._x >= self._columns:
                self._row(self._y).wrapped = True
                self._x = 0
                self._line_feed()
            end = start + self._columns - self._x
            if end < len(cells) and not cells[end][1]:
                end -= 1  # a wide character is not split between two lines
            part = cells[start:end]
            self._row(self._y).write(self._x, part)
            self._x = self._x + len(part) if part else self._columns
            start += len(part)

    def _combine(self, marks: str) -> None:
        """Add combining characters to the character before the cursor."""
        cells = self._row(self._y).cells[: self._x]
        while cells and not cells[-1][1]:  # the second half of a wide character
            cells.pop()
        if cells:
            style, character = cells[-1]
            self._rows[self._y].cells[len(cells) - 1] = style, (character + marks)[:_LONGEST_CHARACTER]

    def _line_feed(self) -> None:
        if self._y == self._bottom:
            self._scroll_up(1)
        else:
            self._y = min(self._y + 1, self._height - 1)

    def _new_line(self) -> None:
        self._x = 0
        self._line_feed()

    def _reverse_line_feed(self) -> None:
        if self._y == self._top:
            self._scroll_down(1)
        else:
            self._y = max(self._y - 1, 0)

    def _scroll_up(self, count: int) -> None:
        self._fill(self._bottom)
        for _ in range(min(count, self._bottom - self._top + 1)):
            row = self._rows.pop(self._top)
            self._rows.insert(self._bottom, _Row())
            # Lines leave the screen for good only at its very top; those of a scroll region, or of the alternate
            # screen, are lost, as in a terminal.
            if self._top or self._main is not None:
                self.known = min(self.known, self._top)
            elif self.known:
                self.known -= 1
            else:
                self._out.append(row.text)
            self.still += 1

    def _scroll_down(self, count: int) -> None:
        self._insert_at(self._top, count)

    def _insert_at(self, y: int, count: int) -> None:
        self._row(self._bottom)
        self.known = min(self.known, y)
        for _ in range(min(count, self._bottom - y + 1)):
            self._rows.pop(self._bottom)
            self._rows.insert(y, _Row())

    def _insert_lines(self, count: int) -> None:
        if self._top <= self._y <= self._bottom:
            self._insert_at(self._y, count)
            self._x = 0

    def _delete_lines(self, count: int) -> None:
        if self._top <= self._y <= self._bottom:
            self._row(self._y)
            self._fill(self._bottom)
            for _ in range(min(count, self._bottom - self._y + 1)):
                self._rows.pop(self._y)
                self._rows.insert(self._bottom, _Row())
            self._x = 0

    def _up(self, count: int) -> None:
        self._y = max(self._y - count, self._top if self._y >= self._top else 0)

    def _down(self, count: int) -> None:
        self._y = min(self._y + count, self._bottom if self._y <= self._bottom else self._height - 1)

    def _go(self, y: int | None = None, x: int | None = None) -> None:
        if y is not None:
            self._y = max(0, min(y, self._height - 1))
        if x is not None:
            self._x = max(0, min(x, self._columns - 1))

    def _back(self, count: int) -> None:
        self._go(x=min(self._x, self._columns - 1) - count)

    def _tab(self) -> None:
        self._go(x=(self._x // _TAB + 1) * _TAB)

    def _erase_line(self, how: int) -> None:
        row, blank = self._row(self._y), self._style.blank
        if how == 0:
            row.erase(self._x, self._columns, blank)
        elif how == 1:
            row.erase(0, min(self._x + 1, self._columns), blank)
        elif how == 2:
            row.erase(0, self._columns, blank)
        if how in (0, 2):
            row.wrapped = False

    def _erase_screen(self, how: int) -> None:
        if how == 0:
            self._erase_line(0)
            del self._rows[self._y + 1 :]
        elif how == 1:
            self._row(self._y)
            self.known = 0
            self._rows[: self._y] = [_Row() for _ in range(self._y)]
            self._erase_line(1)
        elif how == 2:
            self.known = 0
            self._rows.clear()

    def _insert_characters(self, count: int) -> None:
        row = self._row(self._y)
        if self._x < len(row.cells):
            count = min(count, self._columns)
            row.cells[self._x : self._x] = [self._style.blank] * count
            del row.cells[self._columns :]
            for x in (self._x, self._x + count, self._columns):
                row.repair(x)

    def _delete_characters(self, count: int) -> None:
        row = self._row(self._y)
        del row.cells[self._x : self._x + count]
        row.repair(self._x)

    def _erase_characters(self, count: int) -> None:
        self._row(self._y).erase(self._x, min(self._x + count, self._columns), self._style.blank)

    def _repeat(self, count: int) -> None:
        if self._last:
            self._put(self._last * min(count, self._columns))

    def _set_margins(self, top: int, bottom: int) -> None:
        bottom = min(bottom, self._height - 1)
        if 0 <= top < bottom:
            self._top, self._bottom = top, bottom
            self._go(0, 0)

    def _save(self) -> None:
        self._saved = self._y, self._x, self._style.copy()

    def _restore(self) -> None:
        self._y, self._x, style = self._saved
        self._style = style.copy()

    def _reset(self) -> None:
        self._erase_screen(2)
        self._style = Style()
        self._top, self._bottom = 0, self._height - 1
        self._go(0, 0)


_CONTROLS: dict[str, Callable[[TerminalEmulator], None]] = {
    "\n": TerminalEmulator._new_line,
    "\r": lambda screen: screen._go(x=0),
    "\b": lambda screen: screen._back(1),
    "\t": TerminalEmulator._tab,
}


def _counted(do: Callable[[TerminalEmulator, int], None]) -> Callable[[TerminalEmulator, str, str], None]:
    return lambda screen, first, _: do(screen, max(_number(first, 1), 1))


def _chosen(do: Callable[[TerminalEmulator, int], None]) -> Callable[[TerminalEmulator, str, str], None]:
    return lambda screen, first, _: do(screen, _number(first, 0))


def _bare(do: Callable[[TerminalEmulator], None]) -> Callable[[TerminalEmulator, str, str], None]:
    return lambda screen, _first, _second: do(screen)


def _next_line(screen: TerminalEmulator, count: int) -> None:
    screen._down(count)
    screen._go(x=0)


def _previous_line(screen: TerminalEmulator, count: int) -> None:
    screen._up(count)
    screen._go(x=0)


def _position(screen: TerminalEmulator, first: str, second: str) -> None:
    screen._go(_number(first, 1) - 1, _number(second, 1) - 1)


def _margins(screen: TerminalEmulator, first: str, second: str) -> None:
    screen._set_margins(max(_number(first, 1), 1) - 1, _number(second, _MAX_COUNT) - 1)


_ESCAPES: dict[str, Callable[[TerminalEmulator, str, str], None]] = {
    "A": _counted(TerminalEmulator._up),
    "B": _counted(TerminalEmulator._down),
    "C": _counted(lambda screen, count: screen._go(x=screen._x + count)),
    "D": _counted(TerminalEmulator._back),
    "E": _counted(_next_line),
    "F": _counted(_previous_line),
    "G": _counted(lambda screen, count: screen._go(x=count - 1)),
    "`": _counted(lambda screen, count: screen._go(x=count - 1)),
    "H": _position,
    "f": _position,
    "d": _counted(lambda screen, count: screen._go(y=count - 1)),
    "J": _chosen(TerminalEmulator._erase_screen),
    "K": _chosen(TerminalEmulator._erase_line),
    "L": _counted(TerminalEmulator._insert_lines),
    "M": _counted(TerminalEmulator._delete_lines),
    "@": _counted(TerminalEmulator._insert_characters),
    "P": _counted(TerminalEmulator._delete_characters),
    "X": _counted(TerminalEmulator._erase_characters),
    "S": _counted(TerminalEmulator._scroll_up),
    "T": _counted(TerminalEmulator._scroll_down),
    "b": _counted(TerminalEmulator._repeat),
    "r": _margins,
    "s": _bare(TerminalEmulator._save),
    "u": _bare(TerminalEmulator._restore),
}
_SHORT: dict[str, Callable[[TerminalEmulator], None]] = {
    "7": TerminalEmulator._save,
    "8": TerminalEmulator._restore,
    "D": TerminalEmulator._line_feed,
    "E": TerminalEmulator._new_line,
    "M": TerminalEmulator._reverse_line_feed,
    "c": TerminalEmulator._reset,
}


def _number(text: str, default: int) -> int:
    # Limited, since `CSI 99999999 B` or a million blanks must cost no more than a screen.
    return min(int(text[:5]), _MAX_COUNT) if text[:5].isdecimal() else default


def _cells(style: str, text: str) -> tuple[str, list[Cell]]:
    """The leading combining characters of a text, which belong to the cell before it, and the cells of the rest."""
    if text.isascii():  # most text, for which wcwidth would take most of the time
        return "", list(zip(repeat(style), text, strict=False))
    marks, cells = "", list[Cell]()
    for character in text:
        width = wcwidth(character)
        if width > 0:
            cells += [(style, character), (style, "")][:width]
        elif not cells:
            marks += character
        else:
            last = -1 if cells[-1][1] else -2
            cells[last] = style, (cells[last][1] + character)[:_LONGEST_CHARACTER]
    return marks, cells


def _is_wide(cells: list[Cell]) -> bool:
    return bool(cells) and not cells[0][1].isascii() and wcwidth(cells[0][1][0]) > 1


def _coloured(cells: list[Cell]) -> str:
    parts, before = [], ""
    for style, run in groupby(cells, itemgetter(0)):
        if style != before:  # each style begins with a reset, so that it need not know the one before
            parts.append(f"\x1b[0;{style}m" if style else "\x1b[0m")
        parts.append("".join(character for _, character in run))
        before = style
    return "".join(parts) + ("\x1b[0m" if before else "")
