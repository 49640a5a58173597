"""The cursor of a terminal's screen, which scrolls the lines where it meets a margin."""

from __future__ import annotations

from .screen_lines import ScreenLines

_TAB = 8


class Cursor:
    """The position on the screen that is written to next.

    `x` is the number of columns while a line is full: the cursor stays behind the last column until there is more to
    print, as in xterm, so that a line exactly as wide as the screen is not followed by an empty one.
    """

    def __init__(self, lines: ScreenLines, columns: int) -> None:
        self.x = self.y = 0
        self._lines = lines
        self._columns = columns

    def go(self, y: int | None = None, x: int | None = None) -> None:
        """Move to a position, or as near to it as the screen allows."""
        if y is not None:
            self.y = max(0, min(y, self._lines.height - 1))
        if x is not None:
            self.x = max(0, min(x, self._columns - 1))

    def up(self, count: int) -> None:
        """Move up, from within the margins not beyond them."""
        top = self._lines.top
        self.y = max(self.y - count, top if self.y >= top else 0)

    def down(self, count: int) -> None:
        """Move down, from within the margins not beyond them."""
        lines = self._lines
        self.y = min(self.y + count, lines.bottom if self.y <= lines.bottom else lines.height - 1)

    def up_to_start(self, count: int) -> None:
        """Move up, to the start of the line there."""
        self.up(count)
        self.x = 0

    def down_to_start(self, count: int) -> None:
        """Move down, to the start of the line there."""
        self.down(count)
        self.x = 0

    def forward(self, count: int) -> None:
        """Move to the right."""
        self.go(x=self.x + count)

    def back(self, count: int) -> None:
        """Move to the left; from behind the last column that is seen from the last one."""
        self.go(x=min(self.x, self._columns - 1) - count)

    def tab(self) -> None:
        """Move to the next tab stop."""
        self.go(x=(self.x // _TAB + 1) * _TAB)

    def to_column(self, number: int) -> None:
        """Move to a column, counted from 1."""
        self.go(x=number - 1)

    def to_line(self, number: int) -> None:
        """Move to a line, counted from 1."""
        self.go(y=number - 1)

    def line_feed(self) -> None:
        """Move one line down; at the bottom margin the lines scroll up instead."""
        lines = self._lines
        if self.y == lines.bottom:
            lines.scroll_up(1)
        else:
            self.y = min(self.y + 1, lines.height - 1)

    def reverse_line_feed(self) -> None:
        """Move one line up; at the top margin the lines scroll down instead."""
        if self.y == self._lines.top:
            self._lines.insert(self.y, 1)
        else:
            self.y = max(self.y - 1, 0)

    def carriage_return(self) -> None:
        """Move to the start of the line."""
        self.x = 0

    def new_line(self) -> None:
        """Move to the start of the next line."""
        self.x = 0
        self.line_feed()
