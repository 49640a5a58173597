"""The logs of a devbox, live: what its commands printed, as the API tells it.

There is nothing to subscribe to: it looks every two seconds, less often while nobody sees it, and after errors until it
works again. Only what is new goes to the page. When the devbox has ended, what it told stays.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MagicError
from ..operations.transfers import free_path
from ..output.log_lines import LogLines, display_text, kind_of
from ..output.terminal_text import plain
from ..rendering.text import exact_clock
from ..resources.devboxes import by_id
from . import assets, poll_interval
from .protocol import logs as messages
from .protocol.logs import FollowingState, Line
from .tool import DevboxTool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from runloop_sdk.models.logs import Log

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

MOST = 20_000
"""Lines that are kept."""
_LONGEST = 10_000  # characters of a line that go to the page
_MESSAGE = 400_000  # characters in one message


class LogView(DevboxTool):
    """The log of a devbox: what its commands printed, and goes on to print."""

    _esm = assets.script("logs")
    _sheet = assets.style("logs")
    protocol = messages.PROTOCOL

    def __init__(self, session: Session, devbox: DevboxInfo, **options: Any) -> None:
        super().__init__(session, devbox, "Logs", **options)
        self.state: FollowingState = "loading"
        self._lines: deque[Line] = deque(maxlen=MOST)
        self._seen = LogLines()
        self._following: Future[Any] | None = None
        self._wake = asyncio.Event()
        self.channel.on(messages.Refresh, self._refresh)
        self.channel.on(messages.Clear, self._clear)
        self.channel.on(messages.Save, self._save)

    def post_snapshot(self, view: str) -> None:
        """Send all lines that are kept."""
        self.channel.post(messages.State(self.state), view=view)
        self.channel.post(messages.Snapshot(MOST), view=view)
        for lines in _parts(self._lines):
            self.channel.post(messages.Lines(lines), view=view)

    async def opened(self, hello: messages.Hello) -> None:
        """Look now; the first view begins it."""
        self._look()

    async def abandoned(self) -> None:
        """Nobody looks: ask no more. A view that opens later gets what was missed."""
        if self._following is not None:
            self._following.cancel()

    def seen(self) -> None:
        """Look now."""
        self._wake.set()

    def _refresh(self, view: str, _: messages.Refresh) -> None:
        self._look()

    def _clear(self, view: str, _: messages.Clear) -> None:
        self._lines.clear()
        self.channel.post(messages.Cleared())

    async def _save(self, view: str, _: messages.Save) -> None:
        if not self._lines:
            self.say("There are no lines to save yet.")
            return
        text = "".join(f"{exact_clock(at)} {source:<14} {words}\n" for at, source, _, _, words in self._lines)
        name = re.sub(r"[^\w.-]", "_", f"{self.devbox.short[:80]}-logs.txt")
        path = await asyncio.to_thread(free_path, name)
        await asyncio.to_thread(_write, path, text)
        self.channel.post(messages.Saved(f"Saved {path} beside the notebook."))

    # Looking

    def _look(self) -> None:
        if self._following is None or self._following.done():
            self._following = self.channel.begin(self._follow())
        self._wake.set()

    async def _follow(self) -> None:
        failures, changed = 0, time.monotonic()
        while True:
            self._wake.clear()
            began = time.monotonic()
            try:
                fresh, lives = await self.checked(self._ask())
            except MagicError as error:
                failures += 1
                self._become("waiting")
                self.say(f"{error} Trying again.")
                await self._pause(poll_interval.delay_after_failures(failures))
                continue
            failures = 0
            self.say("")
            self._become("live" if lives else "ended")
            if fresh:
                changed = time.monotonic()
                self._show(fresh)
            if not lives:
                return
            now = time.monotonic()
            await self._pause(poll_interval.delay(visible=self.channel.visible, idle=now - changed, spent=now - began))

    async def _ask(self) -> tuple[list[Log], bool]:
        """Return the new lines, and True if there may be more."""
        fresh = self._seen.new((await (await self.handle()).logs()).logs)
        if fresh:
            return fresh, True
        devbox = await by_id(await self._session.client.sdk(), self.devbox.id)
        return fresh, devbox is not None and devbox.alive

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    def _show(self, lines: Iterable[Log]) -> None:
        shown = [_line(line) for line in lines]
        self._lines.extend(shown)
        for some in _parts(shown):
            self.channel.post(messages.Lines(some))

    def _become(self, state: FollowingState) -> None:
        if state != self.state:
            self.state = state
            self.channel.post(messages.State(state))


def _line(line: Log) -> Line:
    text = "\n".join(map(plain, display_text(line).split("\n")))
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
    return Line(line.timestamp_ms, line.source, kind_of(line), line.level, cut)


def _parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in parts that each fit into a message."""
    part: list[Line] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line.text) + 60
        if size > _MESSAGE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
