"""The targets of a cell's output: a kernel's front ends, a terminal, or whatever replaced `sys.stdout`."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TextIO

from ..kernel.prompts import is_live
from ..text.json_values import MimeBundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .transcript import Stream


class ScreenSize(NamedTuple):
    """The number of characters in a line, and the number of lines that a program can redraw."""

    columns: int = 100
    lines: int = 40

    @classmethod
    def of_cell(cls, columns: int = 0) -> ScreenSize:
        """The size of the terminal that the cell runs in; in a notebook, which has none, `columns` or a default."""
        if sys.stdout.isatty():
            import shutil  # only a terminal needs it

            found = shutil.get_terminal_size()
            return cls(columns or found.columns, found.lines)
        return cls(columns or cls().columns)


class Screen(Protocol):
    """Shows text, and a temporary status line below it."""

    knows_cursor: bool
    is_watched: bool
    """True if somebody sees it while the cell runs."""

    def show(self, stream: Stream, text: str) -> None:
        """Append text to the output; does not block for long."""

    def show_status(self, text: str) -> None:
        """Show the status line, or replace it."""

    def clear_status(self) -> None:
        """Remove the status line."""

    def conclude(self, text: str) -> None:
        """Show a last line below the output."""


_OTHER_MAGIC = re.compile(r"%%time\b")
_CELL_MAGIC = re.compile(r"%%(devbox|runloop)\b")
_LINE_MAGIC = re.compile(r"(\w+\s*=\s*)?%(devbox|runloop)\b")

# A status line splits the output into two items, even when it is empty again: later ones reuse the last of these.
_STATUSES = 3


class KernelScreen:
    """A cell of a notebook. Its messages name the cell as their parent, so they reach it even after it has ended."""

    knows_cursor = False

    def __init__(self, streams: Mapping[Stream, Any]) -> None:
        any_stream = next(iter(streams.values()))
        self._streams = streams
        self._session = any_stream.session
        self._socket = any_stream.pub_thread
        self._cell = dict(any_stream.parent_header)  # a copy: the stream's own is that of whichever cell runs now
        self._status_id = ""
        self._statuses = 0
        self._status_is_last = False
        self._regions: dict[str, str] = {}
        self.is_watched = is_live()

    def show(self, stream: Stream, text: str) -> None:
        """Send text as a stream message of the cell."""
        self._send("stream", {"name": stream, "text": text}, f"stream.{stream}")
        self._status_is_last = False

    def show_status(self, text: str) -> None:
        """Show the status line below the output so far; from the third on, in the place of the last one."""
        if not self.is_watched:
            return  # a notebook that papermill or nbconvert saves has no use for it
        is_new = not self._status_is_last and self._statuses < _STATUSES
        if is_new:
            self._statuses += 1
            self._status_id = os.urandom(16).hex()
        self._display(text, update=not is_new)
        self._status_is_last = self._status_is_last or is_new

    def clear_status(self) -> None:
        """Empty the status line. A display cannot be removed, but an empty one takes no room."""
        if self._status_id:
            self._display("", update=True)

    def conclude(self, text: str) -> None:
        """Turn the status line into the last line, or add one below the output."""
        if not self._status_is_last:  # output came after it: updated, it would stand above that
            self.clear_status()
            self._status_id = os.urandom(16).hex()
        self._display(text, update=self._status_is_last)

    def show_bundle(self, bundle: MimeBundle, display_id: str = "", *, update: bool = False) -> None:
        """Show rich output below the output so far, or replace an earlier one."""
        if not display_id:
            display_id, update = self._next_place()
        # Everything is shown with an id, even if it is never updated: a status line that is last can become it.
        content = {"data": dict(bundle), "metadata": {}, "transient": {"display_id": display_id}}
        self._send("update_display_data" if update else "display_data", content, "display_data")
        self._status_is_last = self._status_is_last and update

    def show_region(self, region_id: str, text: str) -> None:
        """Show lines below the output so far, or replace those with the same id."""
        place, update = (self._regions[region_id], True) if region_id in self._regions else self._next_place()
        self._regions[region_id] = place
        self.show_bundle({"text/plain": text}, place, update=update)

    def clear(self, *, wait: bool = True) -> None:
        """Empty the cell; with `wait`, only when something else is shown in it."""
        self._send("clear_output", {"wait": wait}, "clear_output")
        self._regions.clear()
        self._status_id = ""
        self._statuses = 0
        self._status_is_last = False

    def leaves_gaps(self, *, concluded: bool) -> bool:
        """True if emptied status lines are left among the output, or below it unless a last line took their place."""
        return self._statuses > int(self._status_is_last and concluded)

    def _next_place(self) -> tuple[str, bool]:
        """The display id for the next output, and True if it replaces the status line, which is the last output."""
        if not self._status_is_last:
            return os.urandom(16).hex(), False
        replaced, self._status_id, self._status_is_last = self._status_id, "", False
        self._statuses -= 1
        return replaced, True

    def _display(self, text: str, *, update: bool = False) -> None:
        self.show_bundle({"text/plain": text}, self._status_id, update=update)

    def _send(self, kind: str, content: dict[str, Any], topic: str) -> None:
        # What the cell printed itself must come first: it lies in ipykernel's buffers, which are flushed in another
        # thread. A flush waits 0.4 ms for that thread, so it is done only if there is something to flush.
        for stream in self._streams.values():
            if getattr(stream, "_flush_pending", True):
                stream.flush()
        self._session.send(self._socket, kind, content, parent=self._cell, ident=topic.encode())


class TerminalScreen:
    """A real terminal. It gets the output as it is, and a status line only at the start of a line."""

    knows_cursor = True
    is_watched = True

    def __init__(self, streams: Mapping[Stream, TextIO]) -> None:
        self._streams = streams
        self._at_line_start = True
        self._has_status = False

    def show(self, stream: Stream, text: str) -> None:
        """Write text to the terminal."""
        self.clear_status()
        self._at_line_start = text.endswith("\n")
        self._write(text, self._streams.get(stream))

    def show_status(self, text: str) -> None:
        """Show the status line if the cursor is at the start of a line."""
        if self._at_line_start:
            self._write(f"\r\x1b[2K{text.splitlines()[-1] if text else ''}")
            self._has_status = True

    def clear_status(self) -> None:
        """Remove the status line."""
        if self._has_status:
            self._write("\r\x1b[2K")
            self._has_status = False

    def conclude(self, text: str) -> None:
        """Write a last line."""
        self.show("stdout", text + "\n" if self._at_line_start else f"\n{text}\n")

    def _write(self, text: str, stream: TextIO | None = None) -> None:
        stream = stream or next(iter(self._streams.values()))
        stream.write(text)
        stream.flush()


def screen_of_cell() -> tuple[Screen | None, dict[Stream, TextIO]]:
    """The screen of the running cell, None if it has none, and the streams that are redirected (`%%capture`)."""
    streams: dict[Stream, Any] = {"stdout": sys.stdout, "stderr": sys.stderr}
    kernel = {name: stream for name, stream in streams.items() if _is_kernel_stream(stream)}
    terminal = {name: stream for name, stream in streams.items() if name not in kernel and stream.isatty()}
    redirected = {name: stream for name, stream in streams.items() if name not in kernel and name not in terminal}
    if kernel:
        return KernelScreen(kernel), redirected
    if terminal:
        return TerminalScreen(terminal), redirected
    return None, redirected


def is_one_magic(cell: str) -> bool:
    """True if a cell does nothing but run one of our magics, perhaps under `%%time`."""
    lines = [line for line in cell.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    while len(lines) > 1 and _OTHER_MAGIC.match(lines[0]):
        del lines[0]
    return bool(lines) and bool(_CELL_MAGIC.match(lines[0]) or (len(lines) == 1 and _LINE_MAGIC.match(lines[0])))


def runs_one_magic() -> bool:
    """True if the running cell of a kernel does nothing but run one of our magics."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    content = (kernel.get_parent("shell") or {}).get("content", {})
    return is_one_magic(str(content.get("code", "")))


class Display:
    """The rich output of one cell."""

    def __init__(self, screen: KernelScreen | None) -> None:
        self._screen = screen

    def show(self, bundle: MimeBundle, display_id: str = "", *, update: bool = False) -> None:
        """Show a MIME bundle, or with `update` replace the one that has this id."""
        if self._screen is not None:
            self._screen.show_bundle(bundle, display_id, update=update)
        else:
            from IPython.display import publish_display_data

            publish: Any = publish_display_data
            display_id = display_id or os.urandom(16).hex()
            # Not every shell accepts None as the metadata: xeus-python's does not.
            publish(dict(bundle), metadata={}, transient={"display_id": display_id}, update=update)

    def clear_captured(self, *, wait: bool) -> bool:
        """Empty captured output (`%%capture`), or another kernel's; False if there is a screen to clear instead."""
        if self._screen is None:
            from IPython import display

            empty: Any = display.clear_output
            empty(wait)
        return self._screen is None


def display_of_cell(screen: Screen | None) -> Display | None:
    """The rich output of the running cell; None in a terminal."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or isinstance(screen, TerminalScreen):
        return None
    # `%%capture` replaces the publisher, as it replaces the streams: what we send past it would not be captured.
    captured = isinstance(shell.display_pub, CapturingDisplayPublisher)
    if isinstance(screen, KernelScreen) and not captured:
        return Display(screen)
    return Display(None) if captured or hasattr(shell, "kernel") else None


def _is_kernel_stream(stream: Any) -> bool:
    # Not by class, so that ipykernel need not be imported in a terminal.
    return all(hasattr(stream, name) for name in ("session", "pub_thread", "parent_header"))
