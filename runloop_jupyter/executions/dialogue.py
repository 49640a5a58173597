"""A command that asks: when its output rests in the middle of a line, the notebook's own prompt opens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..prompts import ask
from ..terminal_text import plain

if TYPE_CHECKING:
    from ..transcript import Stream
    from .run import CommandRun, Sink

_REST = 0.3  # seconds of silence in the middle of a line: the command waits for an answer


class Dialogue:
    """Passes the output on and answers the command's questions."""

    def __init__(self, run: CommandRun, sink: Sink) -> None:
        self._run = run
        self._sink = sink
        self._line = ""
        self._came = asyncio.Event()

    def write(self, stream: Stream, text: str) -> None:
        """Take a piece of the output."""
        self._sink.write(stream, text)
        self._line = (self._line + text).rpartition("\n")[2]
        self._came.set()

    async def answer(self) -> None:
        """Ask whenever the command does; runs until it is cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            await asyncio.sleep(_REST)
            if self._came.is_set() or not self._line:
                continue
            question, self._line = plain(self._line), ""
            reply = await ask(question, instead="Give the input with --stdin.")
            await self._run.execution.send_stdin(reply + "\n")
