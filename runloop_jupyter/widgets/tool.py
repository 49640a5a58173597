"""The base of console, terminal, logs and files: views in the browser, state and tasks in Python.

Nothing is kept in synced traits: what a tool shows is not saved with the notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from traitlets import Unicode

from ..errors import MagicError
from ..kernel import loop
from ..kernel.prompts import is_live
from ..rendering.page import paragraph
from .channel import Channel
from .page_widget import PageWidget
from .protocol import common

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from runloop_sdk import AsyncDevbox

    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from .protocol import Protocol

T = TypeVar("T")


def static_text(heading: str) -> dict[str, str]:
    """Return the text for a tool where there are no widgets, which says where it opens."""
    text = f"{heading}: it opens where this cell is run in a notebook with widgets, as in JupyterLab or VS Code."
    return {"text/plain": text, "text/html": paragraph(text)}


class Tool(PageWidget):
    """A widget for one devbox, or another resource. `close` ends its tasks and connections."""

    heading = Unicode().tag(sync=True)
    protocol: ClassVar[Protocol]
    """The messages between it and its page."""

    def __init__(self, session: Session, heading: str, **options: Any) -> None:
        super().__init__(heading=heading, **options)
        self.problem = ""
        self.channel = Channel(self.protocol, self, self.send)
        self._session = session
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
    def close_message(self) -> str:
        """Says what closing it leaves behind, for the one who closes it; mostly empty."""
        return ""

    def close(self) -> None:
        """End it, with its tasks and connections."""
        channel: Channel | None = getattr(self, "channel", None)  # none where it could not be made
        if channel is None or channel.is_closed:
            return
        channel.close()
        loop.start(self.ended(), self.failed)
        super().close()

    async def greeted(self, view: str, hello: Any) -> None:
        """Send all there is to a view that has opened, or has missed something."""
        self.post_snapshot(view)
        self.channel.post(common.Problem(self.problem), view=view)
        await self.opened(hello)

    def post_snapshot(self, view: str) -> None:
        """Send all that is shown to one view."""
        raise NotImplementedError

    async def opened(self, hello: Any) -> None:
        """Begin what is done only while anybody looks: a view has opened."""

    def seen(self) -> None:
        """Bring what is shown up to date: nobody could see the tool, and now somebody can."""

    def left(self, view: str) -> None:
        """Nothing: views of a tool ask for nothing that others do not see."""

    async def abandoned(self) -> None:
        """Rest: no view is open any more."""

    async def ended(self) -> None:
        """Let go of connections: the tool was closed."""

    def say(self, problem: str) -> None:
        """Show a sentence in the tool; an empty one takes it away."""
        if problem != self.problem:
            self.problem = problem
            self.channel.post(common.Problem(problem))

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; every error of the SDK comes out as a `MagicError` with one clear sentence."""
        return await self._session.client.guard(work)

    def failed(self, error: Exception) -> None:
        """Show what went wrong."""
        known = isinstance(error, MagicError | OSError)
        self.say(str(error) if known else f"{type(error).__name__}: {error}")

    def _receive(self, _: object, content: object, buffers: Sequence[memoryview]) -> None:
        self.channel.receive(content, buffers)


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
