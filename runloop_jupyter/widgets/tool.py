"""The base of console, terminal, logs and files: views in the browser, state and tasks in Python.

A view says `hello` and gets a snapshot; what changes afterwards goes to all views, numbered, so that one that missed
something asks for a snapshot again. It says `alive` now and then, and `bye`. Its own messages are numbered too, and
taken in their order. Nothing is kept in synced traits: what a tool shows is not saved with the notebook.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import anywidget
from traitlets import Unicode

from ..errors import MagicError
from ..kernel import loop
from ..kernel.prompts import is_live
from ..rendering.page import paragraph
from .in_order import InOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from runloop_sdk import AsyncDevbox

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

    Handler = Callable[[Any, dict[str, Any], list[memoryview]], Coroutine[Any, Any, None]]

T = TypeVar("T")

_STATIC = Path(__file__).parent / "static"
_VIEW_CHECK = 5.0  # seconds between looks at who is still there
_GAP = 1.0  # seconds that a message waits for one that was sent before it
_VIEW_TIMEOUT = 150.0  # seconds after which a view that says nothing is gone: a hidden tab's timers run once a minute


def static(name: str) -> str:
    """The text of a file that is sent to the browser."""
    return (_STATIC / name).read_text(encoding="utf-8")


def script(name: str) -> str:
    """A tool's script: what all tools share, and its own."""
    return static("clipboard.js") + static("kernel.js") + static("tool.js") + static(f"{name}.js")


def style(name: str) -> str:
    """A tool's style sheet: what all tools share, and its own."""
    return static("tool.css") + static(f"{name}.css")


def static_text(heading: str) -> dict[str, str]:
    """Return the text for a tool where there are no widgets, which says where it opens."""
    text = f"{heading}: it opens where this cell is run in a notebook with widgets, as in JupyterLab or VS Code."
    return {"text/plain": text, "text/html": paragraph(text)}


class Tool(anywidget.AnyWidget):
    """A widget for one devbox, or another resource. `close` ends its tasks and connections."""

    heading = Unicode().tag(sync=True)
    handlers: ClassVar[dict[str, Handler]] = {}
    """Handlers by message, beside those of every tool."""
    _closed = True  # until it is made

    def __init__(self, session: Session, heading: str, **options: Any) -> None:
        super().__init__(heading=heading, **options)
        self.problem = ""
        self._session = session
        self._works: set[Future[Any]] = set()
        self._views: dict[str, _View] = {}
        self._arrived: dict[str, InOrder[tuple[dict[str, Any], list[memoryview]]]] = {}
        self._number = 0
        self._watch: Future[Any] | None = None
        self._closed = False
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"<{self.heading}>"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        texts = static_text(self.heading)
        if not is_live():  # the page that nbconvert makes would show an empty widget
            return texts, {}
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**data, **texts}, metadata

    @property
    def visible(self) -> bool:
        """True if somebody can see it now."""
        return any(view.visible for view in self._views.values())

    @property
    def close_message(self) -> str:
        """Says what closing it leaves behind, for the one who closes it; mostly empty."""
        return ""

    def close(self) -> None:
        """End it, with its tasks and connections."""
        if self._closed:
            return
        self._closed = True
        for work in list(self._works):
            work.cancel()
        loop.start(self.ended(), self._report)
        super().close()

    async def greet(self, view: str, hello: dict[str, Any]) -> None:
        """A view has opened, or missed something: send it all there is."""
        raise NotImplementedError

    async def abandoned(self, *, closed: bool) -> None:
        """Nobody looks any more; `closed` when the last view was closed, not only lost sight of."""

    async def ended(self) -> None:
        """The tool was closed: let go of connections."""

    def post(
        self,
        op: str,
        content: dict[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
        *,
        view: str | None = None,
    ) -> None:
        """Send a message to all views, or to one."""
        if self._closed:
            return
        message = {"op": op, **(content or {})}
        if view is None:
            self._number += 1
            message["seq"] = self._number
        else:
            message.update(view=view, at=self._number)
        self.send(message, list(buffers))

    def say(self, problem: str) -> None:
        """Show a sentence in the tool; an empty one takes it away."""
        if problem != self.problem:
            self.problem = problem
            self.post("problem", {"text": problem})

    def begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start work on the notebook's loop, from any thread; what goes wrong is shown in the tool."""
        future = loop.start(self._guarded(work), self._report)
        self._works.add(future)
        future.add_done_callback(self._works.discard)
        return future

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; every error of the SDK comes out as a `MagicError` with one clear sentence."""
        return await self._session.client.guard(work)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        await self.checked(work)

    def _report(self, error: Exception) -> None:
        known = isinstance(error, MagicError | OSError)
        self.say(str(error) if known else f"{type(error).__name__}: {error}")

    def _receive(self, _: object, content: Any, buffers: list[memoryview]) -> None:
        """Take a message; ipykernel calls this on the notebook's thread or on another one."""
        if isinstance(content, dict) and not self._closed:
            self.begin(self._arrange(content, buffers))

    async def _arrange(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Begin to handle what is due; on the loop, one after the other, whichever threads the messages came by."""
        number, view = content.get("n"), str(content.get("view"))
        if not isinstance(number, int):
            await self._handle(content, buffers)
            return
        arrived = self._arrived.setdefault(view, InOrder())
        self._begin_all(arrived.take(number, (content, buffers)))
        if arrived.holds(number):
            await asyncio.sleep(_GAP)
            self._begin_all(arrived.release(number))

    def _begin_all(self, messages: list[tuple[dict[str, Any], list[memoryview]]]) -> None:
        for content, buffers in messages:
            self.begin(self._handle(content, buffers))

    async def _handle(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        op, view = str(content.get("op")), str(content.get("view"))
        if op == "bye":
            await self._bye(view)
            return
        forgotten = view not in self._views  # as after a computer's sleep
        self._views[view] = _View(time.monotonic(), bool(content.get("visible", True)))
        if op == "hello" or forgotten:
            await self._hello(view, content)
        if op in self.handlers:
            await self.handlers[op](self, content, buffers)

    async def _hello(self, view: str, content: dict[str, Any]) -> None:
        if self._watch is None or self._watch.done():
            self._watch = self.begin(self._watch_views())
        await self.greet(view, content)
        self.post("problem", {"text": self.problem}, view=view)

    async def _bye(self, view: str) -> None:
        self._views.pop(view, None)
        self._arrived.pop(view, None)
        await asyncio.sleep(_VIEW_CHECK)  # a view that moves to another place closes and opens again
        if not self._views:
            await self.abandoned(closed=True)

    async def _watch_views(self) -> None:
        while self._views:
            await asyncio.sleep(_VIEW_CHECK)
            gone = [name for name, view in self._views.items() if time.monotonic() - view.heard > _VIEW_TIMEOUT]
            for name in gone:
                del self._views[name]
                self._arrived.pop(name, None)
            if gone and not self._views:
                await self.abandoned(closed=False)


class _View:
    """A view in a browser: when it was heard last, and whether it is in sight."""

    def __init__(self, heard: float, visible: bool) -> None:
        self.heard = heard
        self.visible = visible


class DevboxTool(Tool):
    """A tool for one devbox; where an error comes from what the devbox is doing, it says so."""

    def __init__(self, session: Session, devbox: DevboxInfo, title: str, **options: Any) -> None:
        super().__init__(session, f"{title} of {devbox.label}", **options)
        self.devbox = devbox

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; a `DevboxUnavailableError` tells that the devbox is suspended or has ended."""
        return await self._session.client.guard(self._explained(work))

    async def handle(self) -> AsyncDevbox:
        """The SDK's devbox."""
        return (await self._session.client.sdk()).devbox.from_id(self.devbox.id)

    async def _explained(self, work: Coroutine[Any, Any, T]) -> T:
        from runloop_sdk import APIStatusError, AuthenticationError

        try:
            return await work
        except AuthenticationError:
            raise
        except APIStatusError:
            await self._session.check_usable(self.devbox.id)
            raise
