"""A terminal emulator: programs move the cursor on its screen, overwrite, erase and scroll lines.

Its input is the output of an `EscapeFilter` with `moves`, so every escape sequence is complete and known. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from .screen import Screen

_TOKEN = re.compile(r"\x1b\[(\??[0-9;:]*)([@-~])|\x1b([78DEMc])|([\n\r\b\t])|([^\x00-\x1f\x7f]+)")
_MAX_COUNT = 9999  # of cells or lines, in a parameter
_ALTERNATE = {"?47", "?1047", "?1049"}


class TerminalEmulator:
    """A screen of `rows` lines with `columns` characters each, empty at first, and what escape sequences do to it.

    `feed` returns the lines that scrolled out at the top, which no longer change; `text` is the screen's content.
    """

    def __init__(self, columns: int, rows: int) -> None:
        screen = self._screen = Screen(max(columns, 2), rows)  # room for a wide character
        self._lines, self._cursor = screen.lines, screen.cursor
        self._moved_after = 0  # the lines that had scrolled when the cursor was last moved
        # The methods themselves, so that a character or sequence of a flood is one look and one call.
        self._controls: dict[str, Callable[[], None]] = {
            "\n": self._cursor.new_line,
            "\r": self._cursor.carriage_return,
            "\b": partial(self._cursor.back, 1),
            "\t": self._cursor.tab,
        }
        self._short_sequences = {
            "7": screen.save,
            "8": screen.restore,
            "D": self._cursor.line_feed,
            "E": self._cursor.new_line,
            "M": self._cursor.reverse_line_feed,
            "c": screen.reset,
        }
        self._sequences = _sequences(screen)

    def feed(self, text: str) -> str:
        """Process text; returns the lines that it scrolled out."""
        for token in _TOKEN.finditer(text):
            parameters, final, short, control, plain = token.groups()
            if plain:
                self._screen.put(plain)
            elif control:
                self._controls[control]()
            elif final == "m":
                self._screen.style.change(parameters)
            else:
                # Erasing to the right changes no line above: plain output of many tools ends its lines with it.
                if final != "K":
                    self._moved_after = self._lines.scrolled
                self._short_sequences[short]() if short else self._run(parameters, final)
        return self._lines.take_out()

    @property
    def still(self) -> int:
        """The number of lines that have scrolled out since the cursor was last moved."""
        return self._lines.scrolled - self._moved_after

    @property
    def text(self) -> str:
        """The lines after the known ones, up to the last that shows something, each with its newline."""
        return self._lines.text(self._cursor.y)

    @property
    def at_line_start(self) -> bool:
        """True if the cursor is on an empty line below all others."""
        return not self._lines.is_alternate and self._lines.are_blank(self._cursor.y)

    def know_lines_above(self) -> None:
        """Mark the lines above the cursor as shown elsewhere."""
        self._lines.known = self._cursor.y

    def leave_alternate(self) -> None:
        """Switch back to the main screen, also after a program that was killed."""
        self._screen.leave_alternate()

    def _run(self, parameters: str, final: str) -> None:
        """Carry out a sequence that begins with CSI; one that is not known has no effect."""
        if parameters.startswith("?"):
            if parameters in _ALTERNATE:
                self._screen.enter_alternate() if final == "h" else self._screen.leave_alternate()
        elif final in self._sequences:
            first, _, second = parameters.partition(";")
            self._sequences[final](first, second)


_Sequence = Callable[[str, str], None]
"""Carries out a sequence with its first two parameters, as they were sent."""


def _sequences(screen: Screen) -> dict[str, _Sequence]:
    """What each final character of a sequence does, by the names of ECMA-48: CUU, CUD, CUF and so on."""
    cursor, lines = screen.cursor, screen.lines
    return {
        "A": _counted(cursor.up),
        "B": _counted(cursor.down),
        "C": _counted(cursor.forward),
        "D": _counted(cursor.back),
        "E": _counted(cursor.down_to_start),
        "F": _counted(cursor.up_to_start),
        "G": _counted(cursor.to_column),
        "`": _counted(cursor.to_column),
        "H": lambda first, second: cursor.go(_number(first, 1) - 1, _number(second, 1) - 1),
        "f": lambda first, second: cursor.go(_number(first, 1) - 1, _number(second, 1) - 1),
        "d": _counted(cursor.to_line),
        "J": _chosen(screen.erase_screen),
        "K": _chosen(screen.erase_line),
        "L": _counted(screen.insert_lines),
        "M": _counted(screen.delete_lines),
        "@": _counted(screen.insert_characters),
        "P": _counted(screen.delete_characters),
        "X": _counted(screen.erase_characters),
        "S": _counted(lines.scroll_up),
        "T": _counted(screen.scroll_down),
        "b": _counted(screen.repeat),
        "r": lambda first, second: screen.set_margins(max(_number(first, 1), 1) - 1, _number(second, _MAX_COUNT) - 1),
        "s": lambda _first, _second: screen.save(),
        "u": lambda _first, _second: screen.restore(),
    }


def _counted(do: Callable[[int], None]) -> _Sequence:
    return lambda first, _: do(max(_number(first, 1), 1))


def _chosen(do: Callable[[int], None]) -> _Sequence:
    return lambda first, _: do(_number(first, 0))


def _number(text: str, default: int) -> int:
    # Limited, since `CSI 99999999 B` or a million blanks must cost no more than a screen.
    return min(int(text[:5]), _MAX_COUNT) if text[:5].isdecimal() else default
