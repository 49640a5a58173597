"""A command that asks: when its output rests in the middle of a line, the notebook's own prompt opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..kernel.prompts import ask
from ..output.terminal_text import plain
from ..text.json_values import MimeBundle

if TYPE_CHECKING:
    from runloop_sdk import AsyncExecution

    from ..output.transcript import Stream
    from .sink import Sink

_REST = 0.3  # seconds of silence in the middle of a line: the command waits for an answer
_SILENCE = 2.0  # seconds of silence between lines after which it may wait for one
_END = "\x04"
_LONGEST = 2000  # characters of a line that are a question


class Dialogue:
    """Passes the output on to `sink` and answers the command's questions.

    `name` is what the command runs on; `hides_input` returns True while what is typed must not be shown.
    """

    def __init__(self, sink: Sink, execution: AsyncExecution, name: str, hides_input: Callable[[], bool]) -> None:
        self._sink = sink
        self._execution = execution
        self._name = name
        self._hides_input = hides_input
        self._line = ""
        self._came = asyncio.Event()

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of the output."""
        self._sink.write(stream, text)
        self._line = (self._line + text).rpartition("\n")[2][-_LONGEST:]
        self._came.set()

    def display(self, bundle: MimeBundle, *, display_id: str = "", update: bool = False) -> None:
        """Pass on what is shown by MIME types."""
        self._sink.display(bundle, display_id=display_id, update=update)

    def clear(self, *, wait: bool) -> None:
        """Pass it on."""
        self._sink.clear(wait=wait)

    async def answer(self) -> None:
        """Ask whenever the command does, until it reads no more or is cancelled. Ctrl-D, or ^D, ends its input."""
        while True:
            await self._rest()
            # Taken at once: what comes while the prompt is open belongs to the next question.
            printed, self._line = plain(self._line), ""
            question = printed or f"input for {self._name}: "
            # Asked now, not before: the program may have turned its echo off just after the prompt.
            hidden = self._hides_input()
            reply = await ask(question, hidden=hidden, printed=bool(printed), instead="Give the input with --stdin.")
            if reply.strip() in (_END, "^D"):
                await self._execution.close_std_in()
                return
            # It has ended, or reads no more: another prompt would wait for nobody.
            if not (await self._execution.send_stdin(reply + "\n")).success:
                return

    async def _rest(self) -> None:
        """Wait until the command has printed nothing for so long that it may wait for an answer."""
        while True:
            self._came.clear()
            try:
                async with asyncio.timeout(_REST if self._line else _SILENCE):
                    await self._came.wait()
            except TimeoutError:
                return
