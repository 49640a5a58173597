"""Streams the output of a command into the cell that started it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from ..text.json_values import MimeBundle
from ..text.quoting import printable
from .head import Clear, Head, Region
from .output_limits import DisplayLimits, RateLimiter, Tail
from .output_targets import KernelScreen, ScreenSize, display_of_cell, screen_of_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import TracebackType

    from .head import Piece
    from .output_targets import Screen
    from .transcript import Stream

__all__ = ["CellOutput", "DisplayLimits"]

# One limiter for all cells: the Jupyter server limits what a whole kernel sends.
_KERNEL_LIMITER = RateLimiter()

# The number of characters that wait for the next tick. More are composed at once, which drops what will not be shown.
_MAX_WAITING = 1_000_000

# Composing takes a millisecond for some 30,000 characters, many times that where a program redraws its lines, and the
# kernel's loop waits meanwhile: so what has arrived is composed in pieces, as many as fit into a tick's time.
_PIECE = 16_384  # characters
_TICK_SECONDS = 0.005

# The number of characters up to which finished output is sent again, to be rid of emptied status lines in it.
_MAX_REDRAWN = 20_000

# papermill and nbconvert save every message as an output of its own. So the interval doubles with each message.
_UNWATCHED_INTERVAL, _LONGEST_INTERVAL = 1.0, 60.0

_STATUS_INTERVAL = 1.0
_REGION_INTERVAL = 0.1  # seconds between two updates of a region: the page renders all of it each time
_LAST_LINES = 10


class CellOutput:
    """Shows the output of a command in the cell in which this object was created, even after the cell has ended.

    Use it with `async with`. A notebook gets a few messages a second, the head and the tail of a long output, and no
    escape sequences that it cannot show; lines that a program redraws, as on a terminal of `size`, are updated in
    place. A terminal gets the same without the filtering; a redirected stream (`%%capture`) gets everything as it is.

    `quiet` shows nothing at all, and `hidden` names streams that are not shown. `whole` says where the whole output is,
    in the line that stands for omitted output. `fills_cell` returns True if the cell shows nothing else that a
    `clear_output` would lose: then lines that were shown before a program redrew them do not appear twice.
    """

    def __init__(
        self,
        *,
        limits: DisplayLimits = DisplayLimits(),  # noqa: B008 - frozen
        quiet: bool = False,
        hidden: Collection[Stream] = (),
        whole: str = "the result holds all of it",
        limiter: RateLimiter = _KERNEL_LIMITER,
        size: ScreenSize = ScreenSize(),  # noqa: B008 - frozen
        fills_cell: Callable[[], bool] = lambda: False,
    ) -> None:
        # The cell is found now, while it runs: later, a task in the background would find another one.
        screen, self._redirected = screen_of_cell()
        self._display = display_of_cell(screen)
        self._ids: dict[str, str] = {}
        self._quiet = quiet
        self._hidden = hidden
        self._composer = _Composer(screen, limits, limiter, whole, size, fills_cell) if screen and not quiet else None
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
            self._composer.finish()  # awaits nothing, so it also runs for a command that a second Stop abandoned

    def write(self, stream: Stream, text: str) -> None:
        """Show text soon: at once after a pause, else together with what arrives within 40 ms.

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
        """True if rich output can be shown, and updated later."""
        return self._display is not None and not self._quiet

    def display(self, bundle: MimeBundle, *, display_id: str = "", update: bool = False) -> None:
        """Show a MIME bundle after the output so far, or with `update` replace the one with this id."""
        if self._quiet:
            return
        if self._display is None:
            self.write("stdout", str(bundle.get("text/plain", "")) + "\n")
            return
        # Text waits for the next tick, a display does not: without the flush it would overtake what was printed before.
        if self._composer and not update:
            self._composer.flush()
        self._display.show(bundle, display_id, update=update)

    def display_in_place(self, bundle: MimeBundle, key: str) -> None:
        """Show a MIME bundle in place of the last one with this key. Does nothing where displays cannot be updated."""
        if self.shows_displays:
            update, display_id = key in self._ids, self._ids.setdefault(key, os.urandom(16).hex())
            self.display(bundle, display_id=display_id, update=update)

    def clear(self, *, wait: bool) -> None:
        """Empty the cell, as `clear_output` does."""
        if self._quiet or (self._display is not None and self._display.clear_captured(wait=wait)):
            return
        if self._composer:
            self._composer.clear(wait=wait)

    def status(self, text: str | Callable[[], str]) -> None:
        """Set the line that is shown while no output has arrived for 2 s. A function is called again every second."""
        if self._composer:
            self._composer.status = text

    def final(self, text: str) -> None:
        """Set the line that stays below the output at the end."""
        if self._composer:
            self._composer.final = _printable(text)


class _Composer:
    """Collects incoming text and sends it to a screen, a few times a second."""

    def __init__(
        self,
        screen: Screen,
        limits: DisplayLimits,
        limiter: RateLimiter,
        whole: str,
        size: ScreenSize,
        fills_cell: Callable[[], bool],
    ) -> None:
        self.status: str | Callable[[], str] = ""
        self.final = ""
        self._screen = screen
        self._limits = limits
        self._limiter = limiter
        self._whole = whole
        self._incoming: deque[tuple[Stream, str]] = deque()
        self._waiting = 0
        self._new_head = partial(Head, limits, size, in_notebook=not screen.knows_cursor, may_clear=fills_cell)
        self._head = self._new_head()
        self._tail = Tail(limits.tail, limits.tail_lines)
        self._outgoing: list[Piece] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick_handle: asyncio.Handle | None = None
        self._status_handle: asyncio.TimerHandle | None = None
        self._status_is_shown = False
        self._last_tick = self._last_added = self._last_region = 0.0
        self._interval = limits.interval if screen.is_watched else max(limits.interval, _UNWATCHED_INTERVAL)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last_added = loop.time()
        self._status_handle = loop.call_later(self._limits.silence, self._show_status)
        self._tick_soon()

    def add(self, stream: Stream, text: str) -> None:
        self._incoming.append((stream, text))
        self._waiting += len(text)
        while self._waiting > _MAX_WAITING:  # also while the loop has no time for ticks
            self._take_in(_PIECE)
        if self._loop:
            self._last_added = self._loop.time()
            if self._tick_handle is None:
                self._tick_soon()

    async def drain(self) -> None:
        """Show everything that is left, no faster than the server allows."""
        while self._incoming:
            self._take_in_some()
            await asyncio.sleep(0)
        self._take_tail()
        while self._outgoing:
            self._send()
            await asyncio.sleep(self._limits.interval if self._outgoing else 0)

    def clear(self, *, wait: bool) -> None:
        """Empty the screen, and drop what still waits to be shown."""
        if self._screen.knows_cursor:
            self.add("stdout", "\r\x1b[2K")  # IPython's clear_output does the same in a terminal
            return
        # What has not been shown yet is gone with what has: a program that clears wants none of it to come later.
        self._incoming.clear()
        self._waiting = 0
        self._head = self._new_head()
        self._tail = Tail(self._limits.tail, self._limits.tail_lines)
        self._outgoing = [(Clear(wait=wait), "")]
        self._status_is_shown = False
        if self._loop and self._tick_handle is None:
            self._tick_soon()

    def flush(self) -> None:
        """Show at once everything that has arrived, and no status line, because other output follows."""
        self._take_in()
        self._outgoing += self._head.end_item()
        while self._outgoing:
            self._send(unpaced=True)
        if self._status_is_shown:
            self._screen.clear_status()
            self._status_is_shown = False
        if self._loop:
            self._last_added = self._loop.time()

    def finish(self) -> None:
        """Show at once everything that is left, and end."""
        for handle in (self._tick_handle, self._status_handle):
            if handle:
                handle.cancel()
        self._take_in()
        self._take_tail()
        while self._outgoing:
            self._send(unpaced=True)
        if isinstance(self._screen, KernelScreen) and self._screen.leaves_gaps(concluded=bool(self.final)):
            # The notebook would save the emptied displays of status lines between the outputs.
            for target, text in self._head.redraw(_MAX_REDRAWN):
                self._send_piece(target, text, unpaced=True)
        if self.final:
            self._screen.conclude(self.final)
        else:
            self._screen.clear_status()

    def _tick_soon(self) -> None:
        if self._loop and (self._incoming or self._outgoing):
            # Not sooner than one interval after the last tick; after a pause at once, so that a prompt is seen.
            delay = self._last_tick + self._interval - self._loop.time()
            handle = self._loop.call_later(delay, self._tick) if delay > 0 else self._loop.call_soon(self._tick)
            self._tick_handle = handle

    def _tick(self) -> None:
        assert self._loop is not None
        self._tick_handle = None
        self._last_tick = self._loop.time()
        if not self._screen.is_watched:
            self._interval = min(2 * self._interval, _LONGEST_INTERVAL)
        self._take_in_some()
        self._send()
        self._tick_soon()

    def _take_in_some(self) -> None:
        """Compose as much of what has arrived as there is time for."""
        end = time.monotonic() + _TICK_SECONDS
        while self._incoming:
            self._take_in(_PIECE)
            if time.monotonic() >= end:
                return

    def _take_in(self, most: int | None = None) -> None:
        """Compose what has arrived, or the first `most` characters of it."""
        for stream, runs in groupby(self._arrived(most), key=itemgetter(0)):
            text = "".join(text for _, text in runs)
            while text and not self._head.is_full:
                part, text = self._head.split(text)
                self._outgoing += self._head.compose(stream, part)
            if text:
                self._tail.append(stream, text)

    def _arrived(self, most: int | None) -> Sequence[tuple[Stream, str]]:
        """What has arrived, or the first `most` characters of it: all, once they are only kept, which costs nothing."""
        if most is None or self._head.is_full:
            taken, self._incoming, self._waiting = self._incoming, deque(), 0
            return taken
        parts: list[tuple[Stream, str]] = []
        while self._incoming and most > 0:
            stream, text = self._incoming.popleft()
            if len(text) > most:
                self._incoming.appendleft((stream, text[most:]))
            parts.append((stream, text[:most]))
            most -= len(parts[-1][1])
            self._waiting -= len(parts[-1][1])
        return parts

    def _take_tail(self) -> None:
        tail = self._tail.end()
        if self._tail.hidden:
            self._outgoing += self._head.note(f"{self._tail.hidden} not shown; {self._whole}")
        for stream, text in tail:
            self._outgoing += self._head.compose(stream, text)
        self._outgoing += self._head.end_region()
        self._tail = Tail(self._limits.tail, self._limits.tail_lines)

    def _send(self, *, unpaced: bool = False) -> None:
        """Send what the limiter allows, in one message for each change of stream."""
        outgoing, self._outgoing = self._outgoing, []
        merged = [(target, "".join(text for _, text in run)) for target, run in groupby(outgoing, key=itemgetter(0))]
        for i, (target, text) in enumerate(merged):
            rest = self._send_piece(target, text, unpaced=unpaced)
            if rest is not None:  # nothing may overtake it: the pieces after it wait as well
                self._outgoing = [rest, *merged[i + 1 :]]
                return

    def _send_piece(self, target: Stream | Region | Clear, text: str, *, unpaced: bool) -> Piece | None:
        """Send as much of a piece as the limiter allows; returns the rest, None if nothing is left."""
        if isinstance(target, Region):
            return None if self._draw(target, unpaced=unpaced) else (target, "")
        if isinstance(target, Clear):
            self._notebook.clear(wait=target.wait)
            return None
        now, rest = (text, "") if unpaced else self._limiter.split(text)
        if now:
            self._clear_status()
            self._screen.show(target, now)
        return (target, rest) if rest else None

    def _draw(self, region: Region, *, unpaced: bool) -> bool:
        """Show a region as it is now; False if it has to wait."""
        now = time.monotonic()
        if region.shown is not None and not unpaced and now < self._last_region + _REGION_INTERVAL:
            return False
        text = self._limiter.fit(region.text)
        if text == region.shown:
            return True
        if not unpaced and not self._limiter.try_send(text):
            return False
        self._last_region, region.shown = now, text
        self._clear_status()
        self._notebook.show_region(region.id, text)
        return True

    @property
    def _notebook(self) -> KernelScreen:
        assert isinstance(self._screen, KernelScreen)  # only notebooks have regions
        return self._screen

    def _clear_status(self) -> None:
        # While a tail is collected the status line shows its last lines, which is all that is seen of the output.
        if self._status_is_shown and not self._tail:
            self._screen.clear_status()
            self._status_is_shown = False

    def _show_status(self) -> None:
        assert self._loop is not None
        # The status is not output: it waits until the command is silent, and every output replaces it. Only while a
        # tail is collected it is shown all the time, since nothing else moves then.
        self._status_handle = self._loop.call_later(min(_STATUS_INTERVAL, self._limits.silence), self._show_status)
        is_silent = self._loop.time() - self._last_added >= self._limits.silence
        if is_silent or self._tail:
            text = self._status_text()
            if text:
                self._screen.show_status(text)
                self._status_is_shown = True

    def _status_text(self) -> str:
        text = _printable(self.status if isinstance(self.status, str) else self.status())
        if not self._tail:
            return text
        so_far = f"... {self._tail.size_in_words} more so far"
        return "\n".join([self._tail.lines(_LAST_LINES), f"{so_far}, {text}" if text else so_far])


def _printable(text: str) -> str:
    """Make our own lines printable: they may contain names that come from a devbox."""
    return "\n".join(map(printable, text.split("\n")))
