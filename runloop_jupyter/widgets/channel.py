"""The kernel's end of the conversation with the views of one widget, which `docs/panel-protocol.md` describes.

Messages come on any thread and are handled on the notebook's loop, each view's in the order in which it sent them. An
event for all views is numbered, so that a view that missed one notices and says hello again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import MagicError
from ..kernel import loop
from .protocol import VERSION, Event, Request, common, encode
from .views import Views

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .protocol import Protocol as Messages
    from .views import View

R = TypeVar("R", bound=Request)
T = TypeVar("T")

Handler = Callable[[str, R], Awaitable[None] | None]
"""Takes the id of the view that sent a message, and the message."""

GRACE = 5.0
"""Seconds until a widget without a view is left: a page that is reloaded, or a view that is moved, is back by then."""
_GAP = 1.0  # seconds that a message waits for one that was sent before it
_VIEW = re.compile(r"[\w-]{1,64}", re.ASCII)
_OTHER_VERSION = "This page is of another version of runloop-jupyter than the kernel: run this cell again."
_NO_MESSAGE = "The page sent something that is no message of a view: run the cell again."


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A message as it came: who sent it, as the how manieth, and what."""

    view: str
    number: int
    content: Mapping[str, Any]
    buffers: Sequence[memoryview]


class Listener(Protocol):
    """Whoever a channel works for."""

    async def greeted(self, view: str, hello: Any) -> None:
        """Send all there is to a view that has opened, or has missed something."""

    def seen(self) -> None:
        """Bring what is shown up to date: nobody could see the widget, and now somebody can."""

    def left(self, view: str) -> None:
        """Forget what this view has asked for: it was closed, or has been silent for long."""

    async def abandoned(self) -> None:
        """Rest: no view is open any more."""

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result, or raise what `failed` can tell."""

    def failed(self, error: Exception) -> None:
        """Tell the user what went wrong in a handler, or in other work."""


class Channel:
    """The views of one widget, and the messages between them and the kernel.

    `send` takes JSON and buffers to all pages.
    """

    def __init__(
        self, messages: Messages, listener: Listener, send: Callable[[dict[str, Any], list[bytes]], None]
    ) -> None:
        self._messages = messages
        self._listener = listener
        self._send = send
        self._handlers: dict[type[Request], Handler[Any]] = {}
        self._views: Views[_Incoming] = Views()
        self._number = 0
        self._unacknowledged: set[str] = set()
        self._works: set[Future[Any]] = set()
        self._watch: Future[Any] | None = None
        self._ended: common.Ended | None = None
        self._is_closed = False

    def on(self, kind: type[R], handler: Handler[R]) -> None:
        """Handle the messages of this class by `handler`."""
        self._handlers[kind] = handler

    @property
    def visible(self) -> bool:
        """True if somebody can see the widget now."""
        return self._views.visible

    @property
    def is_open(self) -> bool:
        """True while there is a view."""
        return len(self._views) > 0

    @property
    def is_closed(self) -> bool:
        """True once nothing is sent any more."""
        return self._is_closed

    def post(self, event: Event, *, view: str | None = None) -> None:
        """Send an event to all views, or to one."""
        if self._is_closed:
            return
        content, buffers = encode(event)
        if view is None:
            self._number += 1
            content["seq"] = self._number
        else:
            content.update(view=view, at=self._number)
        self._send(content, buffers)

    def post_ahead(self, event: Event) -> None:
        """Send an event to the views that are about to open, as if they had said hello already."""
        if self._is_closed:
            return
        content, buffers = encode(event)
        self._send({**content, "at": self._number}, buffers)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start work on the notebook's loop, from any thread; it ends with the channel, and failures are told."""
        future = loop.start(self._listener.checked(work), self._listener.failed)
        self._works.add(future)
        future.add_done_callback(self._works.discard)
        return future

    def end(self, text: str) -> None:
        """Say that nothing more will come, and why, to all views and to those that still open."""
        self._ended = common.Ended(text)
        self.post(self._ended)

    def close(self) -> None:
        """End all work, and send nothing any more."""
        self._is_closed = True
        for work in list(self._works):
            work.cancel()

    # What comes in

    def receive(self, content: object, buffers: Sequence[memoryview]) -> None:
        """Take a message; ipykernel calls this on the notebook's thread or on another one."""
        if not self._is_closed:
            self.begin(self._arrange(content, buffers))

    async def _arrange(self, content: object, buffers: Sequence[memoryview]) -> None:
        """Begin to handle what is due; on the loop, one after the other, whichever threads the messages came by."""
        incoming = _incoming(content, buffers)
        view = self._views.heard(incoming.view, time.monotonic())
        self._begin_all(view, view.arrived.take(incoming.number, incoming))
        if not view.arrived.holds(incoming.number):
            return
        await asyncio.sleep(_GAP)
        if view.arrived.last >= 0:
            self._begin_all(view, view.arrived.release(incoming.number))
        else:  # its hello never came: it was forgotten, as after a computer's sleep
            self._views.forget(incoming.view)
            self.post(common.HelloWanted(), view=incoming.view)

    def _begin_all(self, view: View[_Incoming], due: list[_Incoming]) -> None:
        for incoming in due:
            self._acknowledge(incoming.view, view)
            self.begin(self._handle(incoming))

    def _acknowledge(self, name: str, view: View[_Incoming]) -> None:
        """Tell a view that its messages have come: those of one moment by one message."""
        if name not in self._unacknowledged:
            self._unacknowledged.add(name)
            self.begin(self._send_acknowledgement(name, view))

    async def _send_acknowledgement(self, name: str, view: View[_Incoming]) -> None:
        self._unacknowledged.discard(name)
        content, _ = encode(common.Ack(view.arrived.last))
        self._send({**content, "view": name}, [])

    async def _handle(self, incoming: _Incoming) -> None:
        view = incoming.view
        message = self._messages.decode(incoming.content, incoming.buffers)
        if isinstance(message, common.Bye):
            await self._leave(view)
        elif self._ended is not None:
            self.post(self._ended, view=view)
        elif isinstance(message, common.Hello):
            await self._greet(view, message)
        else:
            await self._dispatch(view, message)

    async def _dispatch(self, view: str, message: Request) -> None:
        known = self._views.get(view)
        if known is None or not known.is_open:
            return  # closed, or of another version
        if isinstance(message, common.Alive):
            was_visible, known.visible = self.visible, message.visible
            if self.visible and not was_visible:
                self._listener.seen()
        handler = self._handlers.get(type(message))
        done = handler(view, message) if handler else None
        if isawaitable(done):
            await done

    async def _greet(self, view: str, hello: common.Hello) -> None:
        if hello.protocol != VERSION:
            self.post(common.Ended(_OTHER_VERSION), view=view)
            return
        known = self._views.heard(view, time.monotonic())
        known.is_open, known.visible = True, hello.visible
        if self._watch is None or self._watch.done():
            self._watch = self.begin(self._forget_silent_views())
        await self._listener.greeted(view, hello)

    async def _leave(self, view: str) -> None:
        self._views.forget(view)
        self._listener.left(view)
        await asyncio.sleep(GRACE)
        if not self.is_open:
            await self._listener.abandoned()

    async def _forget_silent_views(self) -> None:
        while self.is_open:
            await asyncio.sleep(GRACE)
            gone = self._views.forget_silent(time.monotonic())
            for view in gone:
                self._listener.left(view)
            if gone and not self.is_open:
                await self._listener.abandoned()


def _incoming(content: object, buffers: Sequence[memoryview]) -> _Incoming:
    """Return what came with who sent it. Raises `MagicError` for what no view sends."""
    if not isinstance(content, dict):
        raise MagicError(_NO_MESSAGE)
    view, number = content.get("view"), content.get("n")
    if not isinstance(view, str) or not _VIEW.fullmatch(view):
        raise MagicError(_NO_MESSAGE)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise MagicError(_NO_MESSAGE)
    return _Incoming(view, number, content, buffers)
