"""What the page of a notebook is told: which devbox is the current one, and the panel when its sidebar wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MagicError
from ..resource_panel import connected_panel
from ..widgets.channel import Channel
from ..widgets.protocol.notebook import PROTOCOL, CurrentDevbox, PanelFailed, PanelReady, ShowPanel
from .devbox_watch import NONE, DevboxWatch

if TYPE_CHECKING:
    from concurrent.futures import Future

    from IPython.core.interactiveshell import InteractiveShell

    from ..session import Session
    from ..widgets.protocol import Request

T = TypeVar("T")

_POLL_INTERVAL = 0.05  # seconds between looks whether the running cell has connected, or ended


class NotebookPage:
    """The kernel's end of the conversation with all pages that show the notebook.

    `make_session` returns the notebook's session, made if need be; `cell_runs` tells whether a cell runs now.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        send: Callable[[dict[str, Any], list[bytes]], None],
        make_session: Callable[[], Session],
        cell_runs: Callable[[], bool],
    ) -> None:
        self._shell = shell
        self._make_session = make_session
        self._cell_runs = cell_runs
        self._channel = Channel(PROTOCOL, self, send)
        self._channel.on(ShowPanel, self._show_panel)
        self._watch: DevboxWatch | None = None
        self._watching: Future[Any] | None = None
        self._session: Session | None = None
        self._panel: Any = None
        self._greeting = ""
        self._one_at_a_time = asyncio.Lock()

    def receive(self, content: object, buffers: Sequence[memoryview]) -> None:
        """Take a message of a page, on any thread."""
        self._channel.receive(content, buffers)

    def follow(self, session: Session) -> None:
        """Show this session's current devbox from now on."""
        self._session = session
        session.on_choice.append(self._chosen)

    def close(self) -> None:
        """End all that it does, and the panel."""
        self._channel.close()
        if self._session is not None:
            self._session.on_choice.remove(self._chosen)
        if self._panel is not None:
            self._panel.close()

    # What the channel tells

    async def greeted(self, view: str, hello: Request) -> None:
        """Tell a view that has opened what the current devbox is."""
        self._look()
        self._channel.post(self._watch.shown if self._watch else NONE, view=view)

    async def abandoned(self) -> None:
        """No page is left."""
        if self._watching is not None:
            self._watching.cancel()
            self._watch = self._watching = None

    def seen(self) -> None:
        """Nothing: the current devbox is watched all the time."""

    def left(self, view: str) -> None:
        """A view has asked for nothing that goes on."""

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result: `failed` can tell of every error."""
        return await work

    def failed(self, error: Exception) -> None:
        """Show an error that nothing else has handled where the panel would be."""
        text = str(error) if isinstance(error, MagicError) else f"{type(error).__name__}: {error}"
        self._channel.post(PanelFailed(text))

    # The current devbox

    def _chosen(self) -> None:
        if self._channel.is_open:
            self._channel.begin(self._look_now())

    async def _look_now(self) -> None:
        self._look()

    def _look(self) -> None:
        if self._session is None:
            return
        if self._watch is None:
            self._watch = DevboxWatch(self._session, self._tell, lambda: self._channel.visible)
            self._watching = self._channel.begin(self._watch.run())
        self._watch.poke()

    def _tell(self, devbox: CurrentDevbox) -> None:
        self._channel.post(devbox)

    # The panel

    async def _show_panel(self, view: str, _: ShowPanel) -> None:
        try:
            async with self._one_at_a_time:
                data = await self._panel_data()
        except MagicError as error:
            self._channel.post(PanelFailed(str(error)), view=view)
        else:
            self._channel.post(PanelReady(data, self._greeting), view=view)

    async def _panel_data(self) -> Mapping[str, Any]:
        """Return what shows the panel: one for all pages, and made anew once it was closed."""
        shown = self._panel
        if shown is None or shown.comm is None:
            session = self._make_session()
            # The first to use a service is told which one it is: let that be the cell, not the sidebar.
            while session.client.connection is None and self._cell_runs():  # noqa: ASYNC110 - IPython has no event for it
                await asyncio.sleep(_POLL_INTERVAL)
            is_first = session.client.connection is None
            shown = await session.client.guard(connected_panel(session))
            if is_first and (connection := session.client.connection) is not None:
                self._greeting = "\n".join(connection.greeting)
            self._panel = shown if hasattr(shown, "comm") else None
        formatter = self._shell.display_formatter
        assert formatter is not None  # every shell has one
        data: Mapping[str, Any] = formatter.format(shown)[0]
        return data
