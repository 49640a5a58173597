"""The lines of a terminal's screen: their cells, and how they scroll."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from wcwidth import wcwidth

from .sgr import BLANK, Cell

LONGEST_CHARACTER = 8  # code points, including combining ones


class Line:
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
        self._repair(x)
        self._repair(end)

    def combine(self, x: int, marks: str) -> None:
        """Add combining characters to the character before `x`."""
        cells = self.cells[:x]
        while cells and not cells[-1][1]:  # the second half of a wide character
            cells.pop()
        if cells:
            style, character = cells[-1]
            self.cells[len(cells) - 1] = style, (character + marks)[:LONGEST_CHARACTER]

    def erase(self, start: int, end: int, blank: Cell) -> None:
        """Replace the cells from `start` up to `end` with blanks."""
        # Cells that are not there need no blanks: most programs erase to the right of a short line.
        if blank == BLANK and end >= len(self.cells):
            del self.cells[start:]
            self._repair(start)
        else:
            self.write(start, [blank] * (end - start))

    def insert(self, x: int, count: int, blank: Cell, columns: int) -> None:
        """Insert blanks at `x`; what goes beyond the last of the columns is lost."""
        if x < len(self.cells):
            count = min(count, columns)
            self.cells[x:x] = [blank] * count
            del self.cells[columns:]
            for edge in (x, x + count, columns):
                self._repair(edge)

    def delete(self, x: int, count: int) -> None:
        """Delete cells from `x` on; those behind them move to the left."""
        del self.cells[x : x + count]
        self._repair(x)

    def _repair(self, x: int) -> None:
        """Replace a half of a wide character with a space, if one was left at either side of `x`."""
        has_first_half = x > 0 and _is_wide(self.cells[x - 1 : x])
        has_second_half = self.cells[x : x + 1] != [] and not self.cells[x][1]
        if has_first_half and not has_second_half:
            self.cells[x - 1] = BLANK
        elif has_second_half and not has_first_half:
            self.cells[x] = BLANK


class ScreenLines:
    """The lines of a screen of `height`, which exist once they are written to. Those within the margins scroll."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.known = 0
        """The number of lines at the top that are shown elsewhere: they are left out until they change."""
        self.scrolled = 0
        """The number of lines that have scrolled up since the beginning."""
        self.top, self.bottom = 0, height - 1
        """The first and the last line that scroll."""
        self._lines: list[Line] = []
        # The main screen while a program such as vim uses the alternate one, which has no scrollback.
        self._main: tuple[list[Line], int] | None = None
        self._out: list[str] = []

    @property
    def is_alternate(self) -> bool:
        """True while the alternate screen is shown."""
        return self._main is not None

    def text(self, y: int) -> str:
        """The lines after the known ones, at least up to `y` and else up to the last that shows something."""
        end = len(self._lines)
        while end > y and self._lines[end - 1].is_blank:
            end -= 1
        return "".join(line.text for line in self._lines[self.known : end])

    def are_blank(self, y: int) -> bool:
        """True if the lines from `y` on show nothing."""
        return all(line.is_blank for line in self._lines[y:])

    def take_out(self) -> str:
        """Return the lines that have left the screen at its top since the last call."""
        out, self._out = "".join(self._out), []
        return out

    def line(self, y: int) -> Line:
        """The line `y`, which is about to change."""
        if len(self._lines) <= y:
            self._fill(y)
        if self.known > y:  # shown elsewhere as it was before: from here on it has to be shown again
            self.known = y
        return self._lines[y]

    def set_margins(self, top: int, bottom: int) -> None:
        """Let only the lines from `top` to `bottom` scroll."""
        self.top, self.bottom = top, bottom

    def scroll_up(self, count: int) -> None:
        """Move the lines within the margins up; blank ones come in at the bottom."""
        self._fill(self.bottom)
        for _ in range(min(count, self.bottom - self.top + 1)):
            line = self._lines.pop(self.top)
            self._lines.insert(self.bottom, Line())
            # Lines leave the screen for good only at its very top; those of a scroll region, or of the alternate
            # screen, are lost, as in a terminal.
            if self.top or self._main is not None:
                self.known = min(self.known, self.top)
            elif self.known:
                self.known -= 1
            else:
                self._out.append(line.text)
            self.scrolled += 1

    def insert(self, y: int, count: int) -> None:
        """Insert blank lines at `y`; those at the bottom margin are lost."""
        self._fill(self.bottom)
        self.known = min(self.known, y)
        for _ in range(min(count, self.bottom - y + 1)):
            self._lines.pop(self.bottom)
            self._lines.insert(y, Line())

    def delete(self, y: int, count: int) -> None:
        """Delete lines from `y` on; blank ones come in at the bottom margin."""
        self._fill(self.bottom)
        self.known = min(self.known, y)
        for _ in range(min(count, self.bottom - y + 1)):
            self._lines.pop(y)
            self._lines.insert(self.bottom, Line())

    def clear(self) -> None:
        """Erase all lines."""
        self.known = 0
        self._lines.clear()

    def clear_above(self, y: int) -> None:
        """Erase the lines above `y`."""
        self._fill(y)
        self.known = 0
        self._lines[:y] = [Line() for _ in range(y)]

    def clear_below(self, y: int) -> None:
        """Erase the lines below `y`."""
        del self._lines[y + 1 :]

    def enter_alternate(self) -> None:
        """Show the alternate screen, empty, and keep the main one."""
        self._main = self._lines, self.known
        self._lines, self.known = [], 0

    def leave_alternate(self) -> None:
        """Show the main screen as it was."""
        if self._main is not None:
            self._lines, self.known = self._main
            self._main = None
            self.set_margins(0, self.height - 1)

    def _fill(self, y: int) -> None:
        while len(self._lines) <= y:
            self._lines.append(Line())


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
