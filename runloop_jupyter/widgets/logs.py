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
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import MagicError
from ..operations.transfers import free_path
from ..output.log_lines import LogLines, display_text, kind_of
from ..output.terminal_text import plain
from ..rendering.text import exact_clock
from ..resources.devboxes import by_id
from . import poll_interval
from .tool import DevboxTool, script, style

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from runloop_sdk.models.logs import Log

    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from .tool import Handler

MOST = 20_000
"""Lines that are kept."""
_LONGEST = 10_000  # characters of a line that go to the page
_MESSAGE = 400_000  # characters in one message

Row = tuple[int, str, str, str, str]
"""Time (ms since 1970), source, kind (`command`, `exit`, `line`, `gap`), level and text."""


class LogView(DevboxTool):
    """The log of a devbox: what its commands printed, and goes on to print."""

    _esm = script("logs")
    _css = style("logs")

    def __init__(self, session: Session, devbox: DevboxInfo, **options: Any) -> None:
        super().__init__(session, devbox, "Logs", **options)
        self.state = "loading"
        """`loading`, `live`, `waiting` (after an error) or `ended`."""
        self._rows: deque[Row] = deque(maxlen=MOST)
        self._seen = LogLines()
        self._following: Future[Any] | None = None
        self._wake = asyncio.Event()

    async def greet(self, view: str, hello: dict[str, Any]) -> None:
        """Send all lines that are kept; the first view begins to look."""
        self.post("snapshot", {"state": self.state, "most": MOST}, view=view)
        for rows in _messages(self._rows):
            self.post("lines", {"rows": rows}, view=view)
        self._begin()
        self._wake.set()

    async def abandoned(self, *, closed: bool) -> None:
        """Nobody looks: ask no more. A view that opens later gets what was missed."""
        if self._following is not None:
            self._following.cancel()

    async def _alive(self, _: dict[str, Any], __: list[memoryview]) -> None:
        """A view is seen again, or not any more."""
        if self.visible:
            self._wake.set()

    async def _look(self, _: dict[str, Any], __: list[memoryview]) -> None:
        self._begin()
        self._wake.set()

    async def _clear(self, _: dict[str, Any], __: list[memoryview]) -> None:
        self._rows.clear()
        self.post("clear")

    async def _save(self, _: dict[str, Any], __: list[memoryview]) -> None:
        if not self._rows:
            self.say("There are no lines to save yet.")
            return
        text = "".join(f"{exact_clock(at)} {source:<14} {words}\n" for at, source, _, _, words in self._rows)
        name = re.sub(r"[^\w.-]", "_", f"{self.devbox.short[:80]}-logs.txt")
        path = await asyncio.to_thread(free_path, name)
        await asyncio.to_thread(_write, path, text)
        self.post("saved", {"text": f"Saved {path} beside the notebook."})

    handlers: ClassVar[dict[str, Handler]] = {"alive": _alive, "look": _look, "clear": _clear, "save": _save}

    # Looking

    def _begin(self) -> None:
        if self._following is None or self._following.done():
            self._following = self.begin(self._follow())

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
            await self._pause(poll_interval.delay(visible=self.visible, idle=now - changed, spent=now - began))

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
        rows = [_row(line) for line in lines]
        self._rows.extend(rows)
        for some in _messages(rows):
            self.post("lines", {"rows": some})

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.post("state", {"state": state})


def _row(line: Log) -> Row:
    text = "\n".join(map(plain, display_text(line).split("\n")))
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
    return line.timestamp_ms, line.source, kind_of(line), line.level, cut


def _messages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in parts that each fit into a message."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row[4]) + 60
        if size > _MESSAGE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
