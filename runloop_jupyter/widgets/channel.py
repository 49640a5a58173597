"""The kernel's end of the conversation with the views of one widget, which `docs/panel-protocol.md` describes.

Messages come on any thread and are handled on the notebook's loop, each view's in the order in which it sent them. An
event for all views is numbered, so that a view that missed one notices and says hello again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..kernel import loop
from .protocol import VERSION, Event, Request, common, encode
from .views import Views

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .protocol import Protocol as Messages

R = TypeVar("R", bound=Request)

GRACE = 5.0
"""Seconds until a widget without a view is left: a page that is reloaded, or a view that is moved, is back by then."""
_GAP = 1.0  # seconds that a message waits for one that was sent before it
_OTHER_VERSION = "This page is of another version of runloop-jupyter than the kernel: run this cell again."


@dataclass(frozen=True, slots=True)
class _Incoming:
    view: str
    content: Mapping[str, Any]
    buffers: Sequence[memoryview]


class Listener(Protocol):
    """Whoever a channel works for."""

    async def greeted(self, view: str, hello: Request) -> None:
        """A view has opened, or has missed something: send it all there is."""

    async def abandoned(self) -> None:
        """Nobody looks any more: no view is open."""

    def failed(self, error: Exception) -> None:
        """Handling a message has failed."""


class Channel:
    """The views of one widget, and the messages between them and the kernel.

    `send` takes JSON and buffers to all pages. Handlers take the view and the message, by the message's class.
    """

    def __init__(
        self, messages: Messages, listener: Listener, send: Callable[[dict[str, Any], list[bytes]], None]
    ) -> None:
        self._messages = messages
        self._listener = listener
        self._send = send
        self._handlers: dict[type[Request], Callable[[str, Any], Awaitable[None] | None]] = {}
        self._views: Views[_Incoming] = Views()
        self._number = 0
        self._works: set[Future[Any]] = set()
        self._watch: Future[Any] | None = None
        self._ended: common.Ended | None = None
        self._is_closed = False

    def on(self, kind: type[R], handler: Callable[[str, R], Awaitable[None] | None]) -> None:
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

    def has(self, view: str) -> bool:
        """Return True if this view is open, as far as is known."""
        return view in self._views

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

    def begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start work on the notebook's loop, from any thread; it ends with the channel, and failures are told."""
        future = loop.start(work, self._listener.failed)
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
        if isinstance(content, dict) and not self._is_closed:
            self.begin(self._arrange(_Incoming(str(content.get("view")), content, buffers)))

    async def _arrange(self, incoming: _Incoming) -> None:
        """Begin to handle what is due; on the loop, one after the other, whichever threads the messages came by."""
        number = incoming.content.get("n")
        if not isinstance(number, int):
            return
        is_new = incoming.view not in self._views
        view = self._views.heard(incoming.view, time.monotonic())
        self._acknowledge(incoming.view, number)
        if is_new and incoming.content.get("op") != common.Bye.op:
            self._watch_views()
            if number > 0:  # a view that was forgotten, as after a computer's sleep
                self.post(common.HelloWanted(), view=incoming.view)
        self._begin_all(view.arrived.take(number, incoming))
        if view.arrived.holds(number):
            await asyncio.sleep(_GAP)
            self._begin_all(view.arrived.release(number))

    def _acknowledge(self, name: str, number: int) -> None:
        """Tell a view that its messages have come: those of one moment by one message."""
        view = self._views.heard(name, time.monotonic())
        if view.acknowledged < 0:
            asyncio.get_running_loop().call_soon(self._send_acknowledgement, name)
        view.acknowledged = max(view.acknowledged, number)

    def _send_acknowledgement(self, name: str) -> None:
        if name in self._views and not self._is_closed:
            view = self._views.heard(name, time.monotonic())
            self._send({"op": common.Ack.op, "view": name, "n": view.acknowledged}, [])
            view.acknowledged = -1

    def _begin_all(self, due: list[_Incoming]) -> None:
        for incoming in due:
            self.begin(self._handle(incoming))

    async def _handle(self, incoming: _Incoming) -> None:
        view = incoming.view
        message = self._messages.decode(incoming.content, incoming.buffers)
        if isinstance(message, common.Bye):
            await self._leave(view)
        elif self._ended is not None:
            self.post(self._ended, view=view)
        elif isinstance(message, common.Hello):
            self._views.heard(view, time.monotonic()).visible = message.visible
            await self._greet(view, message)
        elif isinstance(message, common.Alive):
            self._views.heard(view, time.monotonic()).visible = message.visible
        else:
            done = self._handlers[type(message)](view, message)
            if done is not None:
                await done

    async def _greet(self, view: str, hello: common.Hello) -> None:
        if hello.protocol != VERSION:
            self.post(common.Ended(_OTHER_VERSION), view=view)
            return
        await self._listener.greeted(view, hello)

    async def _leave(self, view: str) -> None:
        self._views.forget(view)
        await asyncio.sleep(GRACE)
        if not self.is_open:
            await self._listener.abandoned()

    def _watch_views(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = self.begin(self._forget_silent_views())

    async def _forget_silent_views(self) -> None:
        while self.is_open:
            await asyncio.sleep(GRACE)
            if self._views.forget_silent(time.monotonic()) and not self.is_open:
                await self._listener.abandoned()
