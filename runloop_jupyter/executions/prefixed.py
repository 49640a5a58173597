"""The output of many devboxes in one cell: whole lines, each behind its devbox's name, none crowding out another."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..terminal_text import EscapeFilter, plain

if TYPE_CHECKING:
    from ..transcript import Stream
    from .run import Sink

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_LONGEST = 10_000  # characters without a newline that are waited for
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")


class PrefixedOutput:
    """Passes one devbox's output on by whole lines, "name │ line"; beyond `budget` characters only the last lines.

    Its lines stand among those of others, so none is drawn anew. What was passed over is told at the end. `close`
    passes on what is left.
    """

    def __init__(self, name: str, width: int, number: int, sink: Sink, *, budget: int, last: int = 10) -> None:
        self._prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{name.ljust(width)} │\x1b[0m "
        self._sink = sink
        self._left = budget
        self._filters: dict[Stream, EscapeFilter] = {}
        self._rest: dict[Stream, str] = {}
        self._kept: deque[tuple[Stream, str]] = deque(maxlen=last)
        self._hidden_lines = 0
        self._recent = ""

    @property
    def last_line(self) -> str:
        """The line that was printed last, finished or not."""
        lines = self._recent.rstrip("\n").rpartition("\n")[2] or self._recent
        return plain(lines).strip()

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of the output."""
        text = self._filters.setdefault(stream, EscapeFilter()).feed(text)
        self._recent = (self._recent + text[-_LONGEST:])[-2000:]
        whole, newline, rest = (self._rest.pop(stream, "") + text).rpartition("\n")
        if len(rest) > _LONGEST:
            whole, newline, rest = whole + newline + rest, "\n", ""
        if rest:
            self._rest[stream] = rest
        if newline:
            self._take(stream, whole)

    def display(self, bundle: Mapping[str, Any]) -> None:
        """Pass on what is shown by MIME types, below the devbox's name."""
        if self._left > 0:
            self._sink.write("stdout", f"{self._prefix}\n")
            self._sink.display(bundle)

    def close(self) -> None:
        """Pass on unfinished lines, and the last ones of those that were held back."""
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
        text = "".join(f"{self._prefix}{_OVERWRITTEN.sub('', line.rstrip(chr(13)))}\n" for line in lines)
        self._sink.write(stream, text)
