"""The last lines of a console, where a program moves the cursor: what is taken back, and what is shown instead."""

from __future__ import annotations

from ..output.terminal_emulator import TerminalEmulator


class RedrawnLines:
    """Lines that are drawn anew, as on a screen of `rows` lines; at first those that are `shown` already."""

    def __init__(self, columns: int, rows: int, shown: str) -> None:
        self._rows = rows
        self._emulator = TerminalEmulator(columns, rows)
        self._out = self._emulator.feed(shown)
        self.shown = shown
        """The part of what is shown that can still change."""

    @property
    def is_over(self) -> bool:
        """True if a screenful has come without any move: plain text goes on below."""
        return self._emulator.still >= self._rows and self._emulator.at_line_start

    def draw(self, text: str) -> tuple[int | None, str]:
        """Return the number of line ends to take back, with all after the one before them, and what to print then."""
        out, self._out = self._out + self._emulator.feed(text), ""
        on_screen = self._emulator.text
        now = out + on_screen
        kept = _lines_in_common(self.shown, now)
        gone, self.shown = self.shown[kept:], on_screen
        return gone.count("\n") if gone else None, now[kept:]


def _lines_in_common(before: str, after: str) -> int:
    """Return the length of the lines that both texts begin with, in characters."""
    length = 0
    for line, other in zip(before.split("\n")[:-1], after.split("\n")[:-1], strict=False):
        if line != other:
            break
        length += len(line) + 1
    return length
