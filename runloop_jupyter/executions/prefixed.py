"""The output of many devboxes in one cell: whole lines, each behind its devbox's name, none crowding out another."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..output.output_targets import ScreenSize
from ..output.terminal_text import EscapeFilter, LineFolder, first_move, last_line
from ..text.json_values import MimeBundle

if TYPE_CHECKING:
    from ..output.terminal_emulator import TerminalEmulator
    from ..output.transcript import Stream
    from .sink import Sink

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_MOST_EDITED = 256  # characters of an unfinished line that wait for what will be written over them
_RECENT = 2000  # characters of what came last
_LONGEST = 10_000  # characters without a newline that are waited for


class PrefixedOutput:
    """Passes one devbox's output on by whole lines, "name │ line"; beyond `budget` characters only the last lines.

    Its lines stand among those of others, so none that was passed on is drawn anew. Where a program moves the cursor,
    lines are passed on once they can change no more: when they have scrolled out of a screen of `size`, and at the end.
    What was passed over is told at the end. `close` passes on what is left.
    """

    def __init__(
        self,
        name: str,
        width: int,
        number: int,
        sink: Sink,
        *,
        budget: int,
        last: int = 10,
        size: ScreenSize = ScreenSize(),  # noqa: B008 - frozen
    ) -> None:
        self._prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{name.ljust(width)} │\x1b[0m "
        self._sink = sink
        self._left = budget
        self._size = size
        self._emulator: TerminalEmulator | None = None
        """The screen that has the last lines, where a program moves the cursor."""
        self._filters: dict[Stream, EscapeFilter] = {}
        self._rest: dict[Stream, str] = {}
        self._kept: deque[tuple[Stream, str]] = deque(maxlen=last)
        self._hidden_lines = 0
        self._recent = ""

    @property
    def last_line(self) -> str:
        """The line that was printed last, finished or not."""
        return last_line(self._recent if self._emulator is None else self._emulator.text)

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of the output."""
        text = self._filters.setdefault(stream, EscapeFilter(moves=True)).feed(text)
        if self._emulator is None:
            start = first_move(text)
            if start < 0:
                self._append(stream, text)
                return
            self._emulator = self._begun(text[:start])
            text = text[start:]
        self._draw(self._emulator, text)

    def _append(self, stream: Stream, text: str) -> None:
        self._recent = (self._recent + text[-_LONGEST:])[-_RECENT:]
        whole, newline, rest = (self._rest.pop(stream, "") + text).rpartition("\n")
        rest = _folded(rest) if len(rest) > _MOST_EDITED else rest
        if len(rest) > _LONGEST:
            whole, newline, rest = whole + newline + rest, "\n", ""
        if rest:
            self._rest[stream] = rest
        if newline:
            self._take(stream, whole)

    def _begun(self, text: str) -> TerminalEmulator:
        """Return the screen that draws from now on, at first on the lines that were passed on last: those stay."""
        from ..output.terminal_emulator import TerminalEmulator

        emulator = TerminalEmulator(self._size.columns, self._size.lines)
        emulator.feed(self._recent[: self._recent.rfind("\n") + 1])
        emulator.know_lines_above()
        self._pass_on(emulator.feed("".join(self._rest.values()) + text))
        self._rest.clear()
        return emulator

    def _draw(self, emulator: TerminalEmulator, text: str) -> None:
        self._pass_on(emulator.feed(text))
        if emulator.still >= self._size.lines and emulator.at_line_start:
            self._recent = emulator.text[-_RECENT:]
            self._end_drawing()

    def _end_drawing(self) -> None:
        if self._emulator is not None:
            self._pass_on(self._emulator.text)
            self._emulator = None

    def _pass_on(self, lines: str) -> None:
        if lines:
            self._take("stdout", lines.removesuffix("\n"))

    def display(self, bundle: MimeBundle, *, display_id: str = "", update: bool = False) -> None:
        """Pass on what is shown by MIME types, below the devbox's name unless it stands there."""
        if self._left <= 0:
            return
        if not update:
            self._sink.write("stdout", f"{self._prefix}\n")
        self._sink.display(bundle, display_id=display_id, update=update)

    def clear(self, *, wait: bool) -> None:
        """Nothing: what others printed stands in the same cell."""

    def close(self) -> None:
        """Pass on unfinished lines, and the last ones of those that were held back."""
        self._end_drawing()
        for stream, rest in self._rest.items():
            self._take(stream, rest)
        self._rest.clear()
        hidden = self._hidden_lines - len(self._kept)
        if hidden > 0:
            self._sink.write("stdout", f"{self._prefix}\x1b[1m... {hidden:,} lines not shown ...\x1b[0m\n")
        for stream, line in self._kept:
            self._show(stream, [line])
        self._kept.clear()

    def _take(self, stream: Stream, whole: str) -> None:
        if self._left > 0:
            lines = whole.split("\n")
            fitting = lines if len(whole) <= self._left else lines[: max(whole.count("\n", 0, self._left), 1)]
            self._left -= len(whole)
            self._show(stream, fitting)
            if len(fitting) == len(lines):
                return
            whole = "\n".join(lines[len(fitting) :])
        self._hold_back(stream, whole)

    def _hold_back(self, stream: Stream, whole: str) -> None:
        """Count the lines and keep the last few: costs one look at the text, however long it is."""
        self._hidden_lines += whole.count("\n") + 1
        for line in whole.rsplit("\n", self._kept.maxlen or 1)[-(self._kept.maxlen or 1) :]:
            self._kept.append((stream, line))

    def _show(self, stream: Stream, lines: list[str]) -> None:
        text = "".join(f"{self._prefix}{_folded(line.rstrip(chr(13)))}\n" for line in lines)
        self._sink.write(stream, text)


def _folded(line: str) -> str:
    """A line as it reads once all that was written over in it is gone; a cursor at its beginning stays there."""
    if not any(edit in line for edit in "\r\b\x1b"):
        return line
    folder = LineFolder()
    folder.feed(line)
    return folder.line + ("\r" if line.endswith("\r") else "")
