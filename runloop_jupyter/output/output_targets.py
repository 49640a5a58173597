"""Where the output of a cell goes: a kernel's front ends, a terminal, or whatever replaced `sys.stdout`."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ..kernel.prompts import is_live

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .transcript import Stream


@dataclass(frozen=True, slots=True)
class ScreenSize:
    """How many characters there are in a line, and how many lines a program may draw anew."""

    columns: int = 100
    lines: int = 40

    @classmethod
    def of_cell(cls, columns: int = 0) -> ScreenSize:
        """That of the terminal in which the cell runs; in a notebook, which does not tell, `columns` if given."""
        if sys.stdout.isatty():
            import shutil  # only a terminal pays for it

            found = shutil.get_terminal_size()
            return cls(columns or found.columns, found.lines)
        return cls(columns or cls().columns)


class Screen(Protocol):
    """Shows text, and one passing status line."""

    knows_cursor: bool
    is_watched: bool
    """Whether somebody sees it now."""

    def show(self, stream: Stream, text: str) -> None:
        """Append text to what is shown; never blocks for long."""

    def show_status(self, text: str) -> None:
        """Show the status line, or replace it."""

    def clear_status(self) -> None:
        """Take the status line away."""

    def conclude(self, text: str) -> None:
        """Leave a last line under the output."""


_OTHER_MAGIC = re.compile(r"%%time\b")
_CELL_MAGIC = re.compile(r"%%(devbox|runloop)\b")
_LINE_MAGIC = re.compile(r"(\w+\s*=\s*)?%(devbox|runloop)\b")

# A status line parts the output before it from what comes after, even when it is empty again.
_STATUSES = 3


class KernelScreen:
    """The cell of a notebook, by messages that name the cell: they reach it even after it has ended."""

    knows_cursor = False

    def __init__(self, streams: Mapping[Stream, Any]) -> None:
        any_stream = next(iter(streams.values()))
        self._streams = streams
        self._session = any_stream.session
        self._socket = any_stream.pub_thread
        self._cell = dict(any_stream.parent_header)
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
        """Show the status line under the output so far, from the third on where the last one was."""
        if not self.is_watched:
            return  # who runs a notebook to keep it has no use for what has passed
        is_new = not self._status_is_last and self._statuses < _STATUSES
        if is_new:
            self._statuses += 1
            self._status_id = os.urandom(16).hex()
        self._display(text, update=not is_new)
        self._status_is_last = self._status_is_last or is_new

    def clear_status(self) -> None:
        """Empty the status line; the front end shows nothing in its place."""
        if self._status_id:
            self._display("", update=True)

    def conclude(self, text: str) -> None:
        """Make the status line the last line, or add one under the output."""
        if not self._status_is_last:
            self.clear_status()
            self._status_id = os.urandom(16).hex()
        self._display(text, update=self._status_is_last)

    def show_bundle(self, bundle: Mapping[str, Any], display_id: str = "", *, update: bool = False) -> None:
        """Show rich output under the output so far, or in the place of an earlier one."""
        if not display_id:
            display_id, update = self._place()
        content = {"data": dict(bundle), "metadata": {}, "transient": {"display_id": display_id}}
        self._send("update_display_data" if update else "display_data", content, "display_data")
        self._status_is_last = self._status_is_last and update

    def show_region(self, region_id: str, text: str) -> None:
        """Show lines under the output so far, or in the place of those with the same id."""
        place, update = (self._regions[region_id], True) if region_id in self._regions else self._place()
        self._regions[region_id] = place
        self.show_bundle({"text/plain": text}, place, update=update)

    def clear(self, *, wait: bool = True) -> None:
        """Empty the cell; with `wait` as soon as something else is shown in it."""
        self._send("clear_output", {"wait": wait}, "clear_output")
        self._regions.clear()
        self._status_id = ""
        self._statuses = 0
        self._status_is_last = False

    def leaves_gaps(self, *, concluded: bool) -> bool:
        """Whether emptied status lines stand among the output, or below it unless it is `concluded`."""
        return self._statuses > int(self._status_is_last and concluded)

    def _place(self) -> tuple[str, bool]:
        """The id of what is shown next, and whether there is something with it: an emptied status line that is last."""
        if not self._status_is_last:
            return os.urandom(16).hex(), False
        taken, self._status_id, self._status_is_last = self._status_id, "", False
        self._statuses -= 1
        return taken, True

    def _display(self, text: str, *, update: bool = False) -> None:
        self.show_bundle({"text/plain": text}, self._status_id, update=update)

    def _send(self, kind: str, content: dict[str, Any], topic: str) -> None:
        # What the cell printed itself comes first. To flush means to wait 0.4 ms for another thread: only if needed.
        for stream in self._streams.values():
            if getattr(stream, "_flush_pending", True):
                stream.flush()
        self._session.send(self._socket, kind, content, parent=self._cell, ident=topic.encode())


class TerminalScreen:
    """A real terminal: it gets the output as it is, and the status line only where a line begins."""

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
        """Show the status line, if the cursor stands where a line begins."""
        if self._at_line_start:
            self._write(f"\r\x1b[2K{text.splitlines()[-1] if text else ''}")
            self._has_status = True

    def clear_status(self) -> None:
        """Take the status line away."""
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
    """Return what shows the running cell's output, and the streams that somebody redirected (`%%capture`)."""
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
    """Whether all that a cell does is to run one of our magics, be it under `%%time`."""
    lines = [line for line in cell.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    while len(lines) > 1 and _OTHER_MAGIC.match(lines[0]):
        del lines[0]
    return bool(lines) and bool(_CELL_MAGIC.match(lines[0]) or (len(lines) == 1 and _LINE_MAGIC.match(lines[0])))


def runs_one_magic() -> bool:
    """Whether the running cell of a kernel does nothing but run one of our magics."""
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    content = (kernel.get_parent("shell") or {}).get("content", {})
    return is_one_magic(str(content.get("code", "")))


class Display:
    """Rich output of one cell."""

    def __init__(self, screen: KernelScreen | None) -> None:
        self._screen = screen

    def show(self, bundle: Mapping[str, Any], display_id: str = "", *, update: bool = False) -> None:
        """Show a MIME bundle, or with `update` put it in the place of what was shown with this id."""
        if self._screen is not None:
            self._screen.show_bundle(bundle, display_id, update=update)
        else:
            from IPython.display import publish_display_data

            publish: Any = publish_display_data
            display_id = display_id or os.urandom(16).hex()
            # Not every shell takes None for the metadata, as xeus-python's does not.
            publish(dict(bundle), metadata={}, transient={"display_id": display_id}, update=update)

    def clear_captured(self, *, wait: bool) -> bool:
        """Empty what somebody captures (`%%capture`), or what another kernel shows; False if nobody does."""
        if self._screen is None:
            from IPython import display

            empty: Any = display.clear_output
            empty(wait)
        return self._screen is None


def display_of_cell(screen: Screen | None) -> Display | None:
    """What shows the running cell's rich output; none in a terminal."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or isinstance(screen, TerminalScreen):
        return None
    captured = isinstance(shell.display_pub, CapturingDisplayPublisher)
    if isinstance(screen, KernelScreen) and not captured:
        return Display(screen)
    return Display(None) if captured or hasattr(shell, "kernel") else None


def _is_kernel_stream(stream: Any) -> bool:
    return all(hasattr(stream, name) for name in ("session", "pub_thread", "parent_header"))
