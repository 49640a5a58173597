"""Streams the output of a command into the cell that started it."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from .elision import DisplayLimits, Pace, Tail, after_line
from .screens import display_of_cell, screen_of_cell
from .terminal_text import EscapeFilter, LineFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from .screens import Screen
    from .transcript import Stream

__all__ = ["CellOutput", "DisplayLimits"]

# A notebook opens a new output item wherever the stream changes, and JupyterLab shows 50.
_CHANGES_OF_STREAM = 24

# The server counts what a whole kernel sends, whichever cell it is for.
_KERNEL_PACE = Pace()

# So many characters at most wait for the next tick: what will not be shown need not be kept.
_MOST_WAITING = 1_000_000

_STATUS_INTERVAL = 1.0
_LAST_LINES = 10


class CellOutput:
    """Shows the output of a command in the cell in which this object was made, even after the cell has ended.

    To be used with `async with`. A notebook gets a few messages a second, the head and the tail of a long output,
    and no escapes that it cannot show; a terminal the same without the filtering; a stream that somebody
    redirected (`%%capture`) gets everything as it is. `quiet` shows nothing at all, and nothing of the streams in
    `hidden` is shown. `whole` says where the whole output is, in the line that stands for what is not shown.
    """

    def __init__(
        self,
        *,
        limits: DisplayLimits = DisplayLimits(),  # noqa: B008 - frozen
        quiet: bool = False,
        hidden: Collection[Stream] = (),
        whole: str = "the result holds all of it",
        pace: Pace = _KERNEL_PACE,
    ) -> None:
        screen, self._redirected = screen_of_cell()
        self._display = display_of_cell(screen)
        self._quiet = quiet
        self._hidden = hidden
        self._composer = _Composer(screen, limits, pace, whole) if screen and not quiet else None
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._composer:
            self._composer.start(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._composer is None:
            return
        try:
            if error is None:
                await self._composer.drain()
        finally:
            self._composer.finish()  # awaits nothing: an abandoned command ends here too

    def write(self, stream: Stream, text: str) -> None:
        """Show text soon: at once after a pause, otherwise with what else comes in within 40 ms.

        Raises ValueError after the end of the `async with` block.
        """
        if self._closed:
            raise ValueError("this cell's output has ended: write inside its `async with` block")
        if self._quiet or not text or stream in self._hidden:
            return
        if stream in self._redirected:
            self._redirected[stream].write(text)
        elif self._composer:
            self._composer.add(stream, text)

    @property
    def shows_displays(self) -> bool:
        """Whether rich output can be shown, and changed later."""
        return self._display is not None and not self._quiet

    def display(self, bundle: Mapping[str, Any], *, key: str = "") -> None:
        """Show a MIME bundle after the output so far; one with a `key` takes the place of the last with that key."""
        if self._quiet:
            return
        if self._display is None:
            if not key:
                self.write("stdout", str(bundle.get("text/plain", "")) + "\n")
            return
        if self._composer and not self._display.knows(key):
            self._composer.flush()
        self._display.show(bundle, key)

    def status(self, text: str | Callable[[], str]) -> None:
        """Set the passing line shown while nothing has come in for 2 s; a function is called anew every second."""
        if self._composer:
            self._composer.status = text

    def final(self, text: str) -> None:
        """Set the line that is left under the output in the end."""
        if self._composer:
            self._composer.final = text


class _Composer:
    """Makes what a screen shows of what comes in, a few times a second."""

    def __init__(self, screen: Screen, limits: DisplayLimits, pace: Pace, whole: str) -> None:
        self.status: str | Callable[[], str] = ""
        self.final = ""
        self._screen = screen
        self._limits = limits
        self._pace = pace
        self._whole = whole
        self._incoming: list[tuple[Stream, str]] = []
        self._waiting = 0
        self._head = _Head(limits, in_notebook=not screen.knows_cursor)
        self._tail = Tail(limits.tail, limits.tail_lines)
        self._outgoing: list[tuple[Stream, str]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick_handle: asyncio.Handle | None = None
        self._status_handle: asyncio.TimerHandle | None = None
        self._status_is_shown = False
        self._last_tick = self._last_added = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last_added = loop.time()
        self._status_handle = loop.call_later(self._limits.silence, self._show_status)
        self._tick_soon()

    def add(self, stream: Stream, text: str) -> None:
        self._incoming.append((stream, text))
        self._waiting += len(text)
        if self._waiting > _MOST_WAITING:
            self._take_in()
        if self._loop:
            self._last_added = self._loop.time()
            if self._tick_handle is None:
                self._tick_soon()

    async def drain(self) -> None:
        """Show everything, at the pace that the server bears."""
        self._take_in()
        self._take_tail()
        while self._outgoing:
            self._send()
            await asyncio.sleep(self._limits.interval if self._outgoing else 0)

    def flush(self) -> None:
        """Show at once what has come in, because something else is to follow it."""
        self._take_in()
        while self._outgoing:
            self._send(unpaced=True)
        self._head.end_item()

    def finish(self) -> None:
        """Show at once what is left, and end."""
        for handle in (self._tick_handle, self._status_handle):
            if handle:
                handle.cancel()
        self._take_in()
        self._take_tail()
        while self._outgoing:
            self._send(unpaced=True)
        if self.final:
            self._screen.conclude(self.final)
        else:
            self._screen.clear_status()

    def _tick_soon(self) -> None:
        if self._loop and (self._incoming or self._outgoing):
            delay = self._last_tick + self._limits.interval - self._loop.time()
            later = self._loop.call_later(delay, self._tick) if delay > 0 else self._loop.call_soon(self._tick)
            self._tick_handle = later

    def _tick(self) -> None:
        assert self._loop is not None
        self._tick_handle = None
        self._last_tick = self._loop.time()
        self._take_in()
        self._send()
        self._tick_soon()

    def _take_in(self) -> None:
        incoming, self._incoming, self._waiting = self._incoming, [], 0
        for stream, runs in groupby(incoming, key=_stream_of):
            text = "".join(text for _, text in runs)
            while text and not self._head.is_full:
                part, text = self._head.part(text)
                self._outgoing.append(self._head.compose(stream, part))
            if text:
                self._tail.append(stream, text)

    def _take_tail(self) -> None:
        tail = self._tail.end()
        if self._tail.hidden:
            self._outgoing.append(self._head.note(f"{self._tail.hidden} not shown; {self._whole}"))
        self._outgoing += [self._head.compose(stream, text) for stream, text in tail]
        self._tail = Tail(self._limits.tail, self._limits.tail_lines)

    def _send(self, *, unpaced: bool = False) -> None:
        """Send what the pace allows, one message for each change of stream."""
        outgoing, self._outgoing = self._outgoing, []
        merged = [(s, "".join(text for _, text in runs)) for s, runs in groupby(outgoing, key=_stream_of)]
        for i, (stream, text) in enumerate(merged):
            now, later = (text, "") if unpaced else self._pace.part(text)
            if now:
                self._show(stream, now)
            if later:
                self._outgoing = [(stream, later), *merged[i + 1 :]]
                return

    def _show(self, stream: Stream, text: str) -> None:
        if self._status_is_shown and not self._tail:
            self._screen.clear_status()
            self._status_is_shown = False
        self._screen.show(stream, text)

    def _show_status(self) -> None:
        assert self._loop is not None
        self._status_handle = self._loop.call_later(min(_STATUS_INTERVAL, self._limits.silence), self._show_status)
        is_silent = self._loop.time() - self._last_added >= self._limits.silence
        if is_silent or self._tail:
            text = self._status_text()
            if text:
                self._screen.show_status(text)
                self._status_is_shown = True

    def _status_text(self) -> str:
        text = self.status if isinstance(self.status, str) else self.status()
        if not self._tail:
            return text
        so_far = f"... {self._tail.size_in_words} more so far"
        return "\n".join([self._tail.lines(_LAST_LINES), f"{so_far}, {text}" if text else so_far])


class _Head:
    """The beginning of the output, as the screen is to show it; what comes after it is composed here as well."""

    def __init__(self, limits: DisplayLimits, *, in_notebook: bool) -> None:
        self._limit = limits.head
        self._lines_left = limits.head_lines
        self._in_notebook = in_notebook
        self._filters: dict[Stream, EscapeFilter] = {}
        self._folder = LineFolder()
        self._current: Stream | None = None
        self._changes = 0
        self._size = 0

    @property
    def is_full(self) -> bool:
        return self._size >= self._limit or self._lines_left <= 0

    def part(self, text: str) -> tuple[str, str]:
        """Part what may still belong to the head from what comes after, between lines if there are any."""
        room = max(self._limit - self._size, 4096)
        if text.count("\n", 0, room) >= self._lines_left:
            cut = after_line(text, self._lines_left)
            return text[:cut], text[cut:]
        if len(text) <= room:
            return text, ""
        cut = text.rfind("\n", 0, room) + 1 or room
        return text[:cut], text[cut:]

    def compose(self, stream: Stream, text: str) -> tuple[Stream, str]:
        self._lines_left -= text.count("\n")
        if not self._in_notebook:
            self._size += len(text)
            return stream, text
        text = self._filters.setdefault(stream, EscapeFilter()).feed(text)
        item = self._item_for(stream)
        if item != stream and stream == "stderr":
            text = f"\x1b[31m{text}\x1b[39m"
        text = self._folder.feed(text)
        self._size = self._folder.size
        return item, text

    def end_item(self) -> None:
        """What comes next is shown apart from what came before."""
        if self._in_notebook:
            self._folder.next_item()

    def note(self, text: str) -> tuple[Stream, str]:
        """Compose a line about the output."""
        self._filters.clear()  # what follows does not continue what came before
        stream = self._current or "stdout"
        return stream, self._folder.feed(f"\x1b[0m\n\x1b[1m... {text} ...\x1b[0m\n")

    def _item_for(self, stream: Stream) -> Stream:
        """Return the stream to show the text in: always stdout once there have been too many changes."""
        if self._current is None:
            self._current = stream
        elif stream != self._current and (self._changes < _CHANGES_OF_STREAM or stream == "stdout"):
            self._changes += 1
            self._folder.next_item()
            self._current = stream
        return self._current


def _stream_of(run: tuple[Stream, str]) -> Stream:
    return run[0]
