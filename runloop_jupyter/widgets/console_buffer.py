"""The buffer of a console: pieces of text and of news, as many as a page can bear, sent at a pace it can follow."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..output.output_limits import Tail
from ..output.output_targets import ScreenSize
from ..output.terminal_text import EscapeFilter, LineFolder, first_move
from .protocol.console import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..output.transcript import Stream
    from .redrawing import RedrawnLines

LINES, CHARACTERS = 5_000, 1_000_000
"""The limits of what is kept and shown."""
_BURST = 400_000  # characters that may be sent at once, beside LINES lines
_LINES_A_SECOND, _CHARACTERS_A_SECOND = 2_500, 800_000
_INTERVAL = 0.04  # seconds between two messages
_LEAST = 100  # lines that may always be sent
_LONGEST_LINE = 16_384  # characters: a longer one is not written over any more
_MERGED = 4_096  # characters: texts below that become one piece with what came before

_LINE_OR_ESCAPE = re.compile("[\n\x1b]")
_MOST_DRAWN = 65_536  # characters that are drawn at once, of lines that are drawn anew


class ConsoleBuffer:
    """The last pieces, for a view that opens later."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._lines = self._characters = 0

    def add(self, pieces: Iterable[Piece]) -> None:
        """Add at the end; what is too much goes at the beginning."""
        for kind, text in pieces:
            if kind == "back":
                self._take_back(int(text))
            else:
                self._append(self._joined(Piece(kind, text)))
        while len(self._pieces) > 1 and (self._lines > LINES or self._characters > CHARACTERS):
            self._forget(self._pieces.popleft())

    def clear(self) -> None:
        """Forget all."""
        self._pieces.clear()
        self._lines = self._characters = 0

    @property
    def pieces(self) -> list[Piece]:
        """All that is kept."""
        return list(self._pieces)

    def _joined(self, piece: Piece) -> Piece:
        """A text with the one before it, where that is short: a progress bar stays one piece, and one line."""
        kind, text = piece
        if kind in ("stdout", "stderr") and self._pieces:
            before_kind, before = self._pieces[-1]
            if before_kind == kind and len(before) < _MERGED:
                self._forget(self._pieces.pop())
                written_over = text.startswith("\r")
                return Piece(kind, before[: before.rfind("\n") + 1] + text if written_over else before + text)
        return piece

    def _take_back(self, lines: int) -> None:
        while self._pieces and self._pieces[-1][0] in ("stdout", "stderr"):
            piece = self._pieces.pop()
            self._forget(piece)
            begun = piece.text.rsplit("\n", lines + 1)
            if len(begun) > lines + 1:
                self._append(Piece(piece.kind, f"{begun[0]}\n"))
                return
            lines -= len(begun) - 1

    def _append(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._lines += _lines(piece)
        self._characters += len(piece.text)

    def _forget(self, piece: Piece) -> None:
        self._lines -= _lines(piece)
        self._characters -= len(piece.text)


def _lines(piece: Piece) -> int:
    return piece.text.count("\n") + (piece.kind not in ("stdout", "stderr"))


@dataclass(slots=True)
class _Allowance:
    """A budget of lines and characters that may be sent, filling up with time."""

    lines: float = LINES
    characters: float = _BURST
    updated: float = 0.0

    def fill(self, now: float) -> tuple[int, int]:
        """Characters and lines that may be sent now."""
        passed = now - self.updated
        self.lines = min(max(self.lines + passed * _LINES_A_SECOND, _LEAST), LINES)
        self.characters = min(max(self.characters + passed * _CHARACTERS_A_SECOND, _MERGED), _BURST)
        self.updated = now
        return int(self.characters), int(self.lines)

    def spend(self, text: str) -> None:
        """So much was sent."""
        self.lines -= text.count("\n")
        self.characters -= len(text)


class Printer:
    """Takes a command's output and passes it on as pieces, at once after a pause, else every 40 ms.

    What is more than a page can bear is left out, with a line that says how much. Where a program moves the cursor, the
    last lines are taken back and shown anew, as on a screen of `size`.
    """

    def __init__(self, emit: Callable[[list[Piece]], None], size: ScreenSize = ScreenSize()) -> None:  # noqa: B008
        self._emit = emit
        self._size = size
        self._allowance = _Allowance()
        self._tail: Tail | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._filters: dict[str, EscapeFilter] = {}
        self._folder = LineFolder()
        self._stream: str | None = None
        self._shown = ""
        """The last lines that are shown, without a piece of another kind among them."""
        self._redrawn: RedrawnLines | None = None

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of it."""
        loop = asyncio.get_running_loop()
        if self._tail is None:
            self._tail = Tail(*self._allowance.fill(loop.time()))
            self._tick = loop.call_at(max(self._last + _INTERVAL, loop.time()), self.flush)
        self._tail.append(stream, text)

    def display(self, bundle: Mapping[str, Any], *, display_id: str = "", update: bool = False) -> None:
        """Take something that other places show by MIME types."""
        self.write("stdout", f"{bundle.get('text/plain', '')}\n")

    def clear(self, *, wait: bool) -> None:
        """Nothing: a console goes on below."""

    def flush(self) -> None:
        """Pass on what has come."""
        if self._tick is not None:
            self._tick.cancel()
        tail, self._tail = self._tail, None
        if tail is None:
            return
        self._last = asyncio.get_running_loop().time()
        runs = tail.end()
        pieces: list[Piece] = []
        if tail.hidden:
            self._filters.clear()  # what follows does not continue what came before
            pieces.append(self._told(f"{tail.hidden} not shown: they came too fast. Save keeps all of it."))
        for stream, text in runs:
            pieces += self._composed(stream, self._filters.setdefault(stream, EscapeFilter(moves=True)).feed(text))
        for _, text in pieces:
            self._allowance.spend(text)
        self._emit([piece for piece in pieces if piece.text])

    def end_lines(self) -> None:
        """Something else is shown below: what came before is not drawn anew any more."""
        self.flush()
        self._redrawn = self._stream = None
        self._shown = ""

    def _told(self, text: str) -> Piece:
        self._redrawn = self._stream = None
        self._shown = ""
        return Piece("quiet", text)

    def _composed(self, stream: Stream, text: str) -> Iterator[Piece]:
        """The pieces that show a text of one stream."""
        if self._redrawn is None:
            start = first_move(text)
            if start < 0:
                yield Piece(stream, self._appended(stream, text))
                return
            yield Piece(stream, self._appended(stream, text[:start]))
            self._redrawn = self._begun()
            text = text[start:]
        yield from self._drawn(self._redrawn, text)

    def _appended(self, stream: Stream, text: str) -> str:
        """The text as a page can show it: a line that is written over comes only once."""
        if text and (stream != self._stream or len(self._folder.line) > _LONGEST_LINE):
            self._folder = LineFolder()
            self._stream = stream
        text = self._folder.feed(text)
        above = self._shown[: self._shown.rfind("\n") + 1] if text.startswith("\r") else self._shown
        self._shown = _last_lines(above + text.removeprefix("\r"), self._size.lines)
        return text

    def _begun(self) -> RedrawnLines:
        from .redrawing import RedrawnLines

        return RedrawnLines(self._size.columns, self._size.lines, self._shown)

    def _drawn(self, redrawn: RedrawnLines, text: str) -> Iterator[Piece]:
        if len(text) > _MOST_DRAWN:
            start = _LINE_OR_ESCAPE.search(text, len(text) - _MOST_DRAWN)
            left_out = start.start() if start else len(text) - _MOST_DRAWN
            yield self._told(f"{left_out:,} characters not drawn: they came too fast. Save keeps all of it.")
            redrawn = self._redrawn = self._begun()
            text = text[left_out:]
        back, text = redrawn.draw(text)
        if back is not None:
            yield Piece("back", str(back))
        yield Piece("stdout", text)
        if redrawn.is_over:
            self._redrawn = self._stream = None
            self._shown = redrawn.shown


def _last_lines(text: str, rows: int) -> str:
    """The last so many lines of a text, or fewer where they are very long."""
    if len(text) > _MOST_DRAWN:
        text = text[-_MOST_DRAWN:].partition("\n")[2]
    lines = text.rsplit("\n", rows)
    return "\n".join(lines[-rows:])
