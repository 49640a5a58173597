"""Composes the beginning of a command's output for a cell: text that is appended, and regions that are redrawn.

A notebook's text can only be appended to. So where a program moves the cursor, the last lines become a region: a
display that is updated whenever it changes. A terminal emulator determines its content, and lines that have scrolled
out of the emulator's screen stay as they are. After a screenful without cursor moves, plain text goes on below.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..text.sizes import spell_size
from .output_limits import after_line
from .terminal_text import EscapeFilter, LineFolder, first_move

if TYPE_CHECKING:
    from .output_limits import DisplayLimits
    from .output_targets import ScreenSize
    from .terminal_emulator import TerminalEmulator
    from .transcript import Stream

# A notebook opens a new output item wherever the stream changes, and JupyterLab shows only 50 items.
_CHANGES_OF_STREAM = 8

_LEAST_ROOM = 4096
_MAX_AT_ONCE = 65_536  # characters that a region takes between two checks whether the head is full
_MAX_DRAWN = 262_144  # characters of one tick that the emulator processes
_LONGEST_REGION = 8_192  # characters above the screen that are sent again with each change of a region
_MAX_CLEARS = 8  # how often the cell is emptied: each time all that it shows is sent again


class Clear(NamedTuple):
    """A piece that empties the cell, with `wait` only when something follows; the pieces after it fill it again."""

    wait: bool = True


class Region:
    """Lines of the cell that are updated in place: first those that have scrolled out, then a terminal's screen."""

    def __init__(self, emulator: TerminalEmulator, done: str = "") -> None:
        self.id = os.urandom(16).hex()
        self.emulator = emulator
        self.done = done
        """The text that has scrolled out of the screen."""
        self.shown: str | None = None
        """The text that the cell shows at the moment; None before the first time."""
        self._skipped = 0
        self._is_ended = False

    @property
    def text(self) -> str:
        """The text to show."""
        shown = self.done if self._is_ended else self._lines + self.emulator.text
        return shown.removesuffix("\n")

    @property
    def _lines(self) -> str:
        skipped = f"\x1b[1m... {spell_size(self._skipped)} came too fast to be drawn ...\x1b[0m\n"
        return self.done + skipped if self._skipped else self.done

    def split(self, text: str) -> tuple[str, str]:
        """Split off the text to draw next. Of a flood only the end is drawn."""
        # To draw all of a flood would take longer than it takes to come; nobody sees what is overwritten at once.
        if len(text) > _MAX_DRAWN:
            start = text.rfind("\n", 0, len(text) - _MAX_DRAWN) + 1 or len(text) - _MAX_DRAWN
            self._skipped += start
            text = text[start:]
        cut = text.rfind("\n", 0, _MAX_AT_ONCE) + 1 if len(text) > _MAX_AT_ONCE else 0
        cut = cut or _MAX_AT_ONCE
        return text[:cut], text[cut:]

    def end(self, *, with_screen: bool) -> str:
        """Freeze the region, `with_screen` including what is on the screen. Returns its text."""
        if with_screen:
            self.emulator.leave_alternate()
            self.done = self._lines + self.emulator.text
        self._is_ended = True
        return self.done


Piece = tuple["Stream | Region | Clear", str]
"""Text to append to a stream, a region to show or update, or the instruction to empty the cell."""


class _Item:
    """One output item of the cell: the folded text that was appended to one stream."""

    def __init__(self, stream: Stream, text: str = "") -> None:
        self.stream: Stream = stream
        self._done = [text]
        self._line = ""

    @property
    def text(self) -> str:
        return "".join(self._done) + self._line

    def append(self, text: str) -> None:
        """Add text that a `LineFolder` returned."""
        text = text[1:] if text.startswith("\r") else self._line + text
        done, newline, self._line = text.rpartition("\n")
        self._done.append(done + newline)


class Head:
    """Turns text into the pieces that show it, and tells when the limits of the head are reached.

    `may_clear` returns True if the cell shows nothing but this output, so that it can be emptied and shown again.
    """

    def __init__(
        self, limits: DisplayLimits, size: ScreenSize, *, in_notebook: bool, may_clear: Callable[[], bool]
    ) -> None:
        self._limit = limits.head
        self._lines_left = limits.head_lines
        self._screen_size = size
        self._in_notebook = in_notebook
        self._may_clear = may_clear
        self._clears_left = _MAX_CLEARS
        self._filters: dict[Stream, EscapeFilter] = {}
        self._folder = LineFolder()
        self._current: Stream | None = None
        self._changes = 0
        self._items: list[_Item] = []
        self._opens_item = True
        self._region: Region | None = None
        self._size = 0  # apart from what the folder counts

    @property
    def is_full(self) -> bool:
        """True if the limits are reached."""
        return self._size + self._folder.size >= self._limit or self._lines_left <= 0

    def split(self, text: str) -> tuple[str, str]:
        """Split off what still belongs to the head, at the end of a line if there is one."""
        if not self._in_notebook and first_move(text) >= 0:
            return text, ""
        if self._region is not None:
            return self._region.split(text)
        # Not less than that: cutting at exactly the limit could split text into tiny pieces.
        room = max(self._limit - self._size - self._folder.size, _LEAST_ROOM)
        if text.count("\n", 0, room) >= self._lines_left:
            cut = after_line(text, self._lines_left)
            return text[:cut], text[cut:]
        if len(text) <= room:
            return text, ""
        cut = text.rfind("\n", 0, room) + 1 or room
        return text[:cut], text[cut:]

    def compose(self, stream: Stream, text: str) -> list[Piece]:
        """The pieces that show more of the output."""
        if not self._in_notebook:
            if first_move(text) < 0:  # text that is redrawn in place takes no room
                self._lines_left -= text.count("\n")
                self._size += len(text)
            return [(stream, text)]
        text = self._filters.setdefault(stream, EscapeFilter(moves=True)).feed(text)
        pieces: list[Piece] = []
        if self._region is None:
            start = first_move(text)
            if start < 0:
                return [self._append(stream, text)]
            pieces, self._region = self._begin_region(stream, text[:start])
            text = text[start:]
        return pieces + self._draw(self._region, text)

    def end_item(self) -> list[Piece]:
        """Begin a new output item, because other output follows."""
        self._may_clear = lambda: False
        return self.end_region()

    def end_region(self) -> list[Piece]:
        """Freeze the region, if there is one: the text that comes next is appended below it."""
        if self._in_notebook:
            self._folder.next_item()
            self._opens_item = True
        if self._region is None:
            return []
        region, self._region = self._region, None
        self._items.append(_Item("stdout", region.end(with_screen=True)))
        return [(region, "")]

    def redraw(self, most: int) -> list[Piece]:
        """The pieces that empty the cell and show the same again; none if that is more than `most` characters."""
        is_small = sum(len(item.text) for item in self._items) <= most
        return self._shown_without(0) if is_small and self._may_clear() else []

    def note(self, text: str) -> list[Piece]:
        """The pieces that show a line about the output."""
        pieces = self.end_region() if self._region else []
        self._filters.clear()  # text was omitted here: an escape sequence before it does not go on after it
        stream = self._current or "stdout"
        return [*pieces, self._appended(stream, f"\x1b[0m\n\x1b[1m... {text} ...\x1b[0m\n")]

    def _append(self, stream: Stream, text: str) -> Piece:
        item = self._item_for(stream)
        if item != stream and stream == "stderr" and text:  # shown in stdout's item, it is still told apart by colour
            text = f"\x1b[31m{text}\x1b[39m"
        self._lines_left -= text.count("\n")
        return self._appended(item, text)

    def _appended(self, stream: Stream, text: str) -> Piece:
        text = self._folder.feed(text)
        if self._in_notebook:
            if self._opens_item:
                self._items.append(_Item(stream))
                self._opens_item = False
            self._items[-1].append(text)
        return stream, text

    def _item_for(self, stream: Stream) -> Stream:
        """The stream to show text in: always stdout once the stream has changed too often."""
        if self._current is None:
            self._current = stream
        elif stream != self._current and (self._changes < _CHANGES_OF_STREAM or stream == "stdout"):
            self._changes += 1
            self._folder.next_item()
            self._opens_item = True
            self._current = stream
        return self._current

    def _begin_region(self, stream: Stream, text: str) -> tuple[list[Piece], Region]:
        """Begin a region with the last lines, of which `text` has not been shown yet.

        A program may move up into lines that the cell shows already as appended text. If the cell can be emptied, they
        are taken back and become part of the region; else the emulator knows them, but they are shown a second time
        once they change.
        """
        from .terminal_emulator import TerminalEmulator

        emulator = TerminalEmulator(self._screen_size.columns, self._screen_size.lines)
        shown = self._last_lines()
        above, window = _split_lines(shown + text, self._screen_size.lines)
        if len(window) <= len(text):  # nothing of it is shown
            pieces = [self._append(stream, above[len(shown) :])] if len(above) > len(shown) else []
        elif self._clears_left and self._may_clear():
            pieces = self._shown_without(len(shown) - len(above))
        else:
            emulator.feed(window[: len(window) - len(text)])
            emulator.know_lines_above()
            pieces, window = [], text
        return pieces, Region(emulator, emulator.feed(window))

    def _last_lines(self) -> str:
        """The last screenful of what is shown, or all of it if there is less."""
        text = ""
        for item in reversed(self._items):
            text = item.text + text
            if text.count("\n") >= self._screen_size.lines:
                break
        return text

    def _shown_without(self, count: int) -> list[Piece]:
        """The pieces that empty the cell and show it again without its last `count` characters."""
        self._clears_left -= 1  # a program that moves back and forth must not make the cell flicker for ever
        while count:
            item = self._items.pop()
            if count < len(item.text):
                self._items.append(_Item(item.stream, item.text[:-count]))
            count = max(count - len(item.text), 0)
        return [(Clear(), ""), *((item.stream, item.text) for item in self._items if item.text)]

    def _draw(self, region: Region, text: str) -> list[Piece]:
        done = region.emulator.feed(text)
        region.done += done
        self._size += len(done)
        self._lines_left -= done.count("\n")
        # A screenful without cursor moves: the program has gone back to plain output.
        if region.emulator.still >= self._screen_size.lines and region.emulator.at_line_start:
            return self.end_region()
        # All of a region is sent with every change, so a long one is frozen and a new one goes on below it.
        if len(region.done) > _LONGEST_REGION and region.done.endswith("\n"):
            self._items.append(_Item("stdout", region.end(with_screen=False)))
            self._region = Region(region.emulator)
            return [(region, ""), (self._region, "")]
        return [(region, "")]


def _split_lines(text: str, lines: int) -> tuple[str, str]:
    """Split off the last `lines` lines."""
    cut = len(text)
    for _ in range(lines):
        cut = text.rfind("\n", 0, cut)
        if cut < 0:
            return "", text
    return text[: cut + 1], text[cut + 1 :]
