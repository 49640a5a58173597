"""A terminal's screen: what programs write at its cursor, erase, insert and delete there."""

from __future__ import annotations

from itertools import repeat

from wcwidth import wcwidth

from .screen_cursor import Cursor
from .screen_lines import LONGEST_CHARACTER, ScreenLines
from .sgr import Cell, Style


class Screen:
    """Lines of `columns` characters, a cursor among them, and the style of what is written there."""

    def __init__(self, columns: int, rows: int) -> None:
        self.lines = ScreenLines(rows)
        self.cursor = Cursor(self.lines, columns)
        self.style = Style()
        self._columns = columns
        self._last = ""  # the character that CSI b repeats
        self._saved = (0, 0, Style())
        self._main_position = (0, 0)

    def put(self, text: str) -> None:
        """Write printable text."""
        # Of what was written, not of what is on the screen: it may be overwritten or erased by then.
        self._last = text[-1]
        marks, cells = _cells(self.style.parameters, text)
        lines, cursor, columns = self.lines, self.cursor, self._columns
        if marks:
            lines.line(cursor.y).combine(cursor.x, marks)
        start = 0
        while start < len(cells):
            if cursor.x >= columns:  # the line was full, and goes on: see `Cursor`
                lines.line(cursor.y).wrapped = True
                cursor.new_line()
            end = start + columns - cursor.x
            if end < len(cells) and not cells[end][1]:
                end -= 1  # a wide character is not split between two lines
            part = cells[start:end]
            lines.line(cursor.y).write(cursor.x, part)
            cursor.x = cursor.x + len(part) if part else columns
            start += len(part)

    def repeat(self, count: int) -> None:
        """Write the last character again."""
        if self._last:
            self.put(self._last * min(count, self._columns))

    def erase_line(self, how: int) -> None:
        """Erase the line from the cursor (0), up to the cursor (1), or all of it (2)."""
        cursor, blank = self.cursor, self.style.blank
        line = self.lines.line(cursor.y)
        if how == 0:
            line.erase(cursor.x, self._columns, blank)
        elif how == 1:
            line.erase(0, min(cursor.x + 1, self._columns), blank)
        elif how == 2:
            line.erase(0, self._columns, blank)
        if how in (0, 2):
            line.wrapped = False

    def erase_screen(self, how: int) -> None:
        """Erase the screen from the cursor (0), up to the cursor (1), or all of it (2)."""
        if how == 0:
            self.erase_line(0)
            self.lines.clear_below(self.cursor.y)
        elif how == 1:
            self.lines.clear_above(self.cursor.y)
            self.erase_line(1)
        elif how == 2:
            self.lines.clear()

    def insert_characters(self, count: int) -> None:
        """Insert blanks at the cursor."""
        self.lines.line(self.cursor.y).insert(self.cursor.x, count, self.style.blank, self._columns)

    def delete_characters(self, count: int) -> None:
        """Delete characters at the cursor."""
        self.lines.line(self.cursor.y).delete(self.cursor.x, count)

    def erase_characters(self, count: int) -> None:
        """Replace characters at the cursor with blanks."""
        x = self.cursor.x
        self.lines.line(self.cursor.y).erase(x, min(x + count, self._columns), self.style.blank)

    def insert_lines(self, count: int) -> None:
        """Insert lines at the cursor, if it is within the margins."""
        if self.lines.top <= self.cursor.y <= self.lines.bottom:
            self.lines.insert(self.cursor.y, count)
            self.cursor.carriage_return()

    def delete_lines(self, count: int) -> None:
        """Delete lines at the cursor, if it is within the margins."""
        if self.lines.top <= self.cursor.y <= self.lines.bottom:
            self.lines.delete(self.cursor.y, count)
            self.cursor.carriage_return()

    def scroll_down(self, count: int) -> None:
        """Move the lines within the margins down."""
        self.lines.insert(self.lines.top, count)

    def set_margins(self, top: int, bottom: int) -> None:
        """Let only the lines from `top` to `bottom` scroll, and move the cursor home."""
        bottom = min(bottom, self.lines.height - 1)
        if 0 <= top < bottom:
            self.lines.set_margins(top, bottom)
            self.cursor.go(0, 0)

    def save(self) -> None:
        """Save the cursor and the style."""
        # A copy, as colours are changed in place.
        self._saved = self.cursor.y, self.cursor.x, self.style.copy()

    def restore(self) -> None:
        """Go back to what was saved."""
        self.cursor.y, self.cursor.x, style = self._saved
        self.style = style.copy()

    def reset(self) -> None:
        """Empty the screen and forget style and margins."""
        self.lines.clear()
        self.style = Style()
        self.lines.set_margins(0, self.lines.height - 1)
        self.cursor.go(0, 0)

    def enter_alternate(self) -> None:
        """Switch to the alternate screen; the cursor stays where it is."""
        if not self.lines.is_alternate:
            self._main_position = self.cursor.y, self.cursor.x
            self.lines.enter_alternate()

    def leave_alternate(self) -> None:
        """Switch back to the main screen and the cursor's position there."""
        if self.lines.is_alternate:
            self.lines.leave_alternate()
            self.cursor.y, self.cursor.x = self._main_position


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
            cells[last] = style, (cells[last][1] + character)[:LONGEST_CHARACTER]
    return marks, cells
