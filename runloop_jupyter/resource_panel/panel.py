"""The panel as a whole: the table of resources, and below it the tools that were opened.

The page sends requests; all state is here. Who handles which of them is said by each part where it is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import ipywidgets

from ..kernel import loop
from ..kernel.prompts import is_live
from ..rendering import Listing, ago, devbox_listing
from ..resources.devboxes import DevboxInfo
from ..resources.kind import Row
from ..resources.kinds.devbox import DEVBOX, devbox_of
from ..text.durations import spell_duration
from ..widgets.channel import Channel
from ..widgets.protocol import panel as messages
from .controller import PanelController
from .feed import feed_of
from .follow import Followers
from .forms import PanelForms
from .marks import Marks
from .object_uploads import ObjectUploads
from .row_observer import in_words
from .service_reader import EmbeddedServiceEnded, explain
from .tool_tabs import ToolTabs, load
from .updates import PanelUpdates
from .view import ResourceView

if TYPE_CHECKING:
    from ..session import Session
    from .tables import Tables

T = TypeVar("T")

NEWEST = 20
"""Devboxes of the table that stands where no widgets are. JupyterLab parses it, too, twice for each change of the
notebook, to look for headings: 100 of them took longer than all else that there is between a cell and its panel."""
_BOX_CLASS = "runloop-panel-box"
_PERHAPS_MORE = "There may be older ones: %devbox list shows them all."
_NOT_ALL_READ = "No devbox was found so far: %devbox list looks at all of them."
_WAITS = "This kernel (ipykernel {}) answers clicks only between cells; ipykernel 7 answers while a cell runs."
_UNLOADED = "The extension was unloaded. Load it and run this cell again for a live panel."
_CLOSED = "This panel was closed. Run its cell again for a live one."


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The widget of `%runloop panel`. `close` ends it; so does closing its output."""

    def __init__(self, session: Session) -> None:
        self.view = ResourceView(notice=_notice())
        super().__init__(children=[self.view], layout=self.view.layout, _dom_classes=[_BOX_CLASS])
        self._session = session
        self._feed = feed_of(session)
        self._is_running = False
        channel = self._channel = Channel(messages.PROTOCOL, self, self.view.send)
        self.tool_tabs = ToolTabs(session, self._tabs_changed, self.load_tool)
        self._marks = Marks(lambda marks: channel.post(messages.MarksChanged(marks)), self._has_row)
        self._followers = Followers(session, channel)
        self._uploads = ObjectUploads(session, self._feed, channel)
        self._forms = PanelForms(session, self._feed, channel, self._marks)
        self._controller = PanelController(session, self._feed, channel, self._marks, self._forms, self.tool_tabs)
        self._updates = PanelUpdates(
            session.client,
            self._feed.tables,
            channel,
            self._marks,
            self._followers,
            self.tool_tabs,
            model=self.model_id,
            end=lambda: self._end(_UNLOADED),
        )
        channel.on(messages.Want, self._want)
        channel.on(messages.Retry, self._retry)
        channel.on(messages.Dismiss, lambda view, mark: self._marks.set(mark.kind, mark.id))
        channel.on(messages.ShowTool, lambda view, tool: self.tool_tabs.show(tool.key))
        channel.on(messages.CloseTool, self._close_tool)
        self.view.on_msg(self._receive)

    @staticmethod
    def load_tool(action: str) -> Callable[..., Any]:
        """The class of the tool that an action opens."""
        return load(action)

    def close(self) -> None:
        """End everything that it does, and take it off the page."""
        loop.start(self._close(), self.failed)
        super().close()

    @property
    def running(self) -> bool:
        """True while it is kept up to date."""
        return self._is_running

    # What the channel tells

    async def greeted(self, view: str, hello: messages.Hello) -> None:
        """Send all there is to a view that has opened, or has missed something; the first one begins the looking."""
        self._updates.want(view, hello.kinds)
        self._feed.join(self._updates)
        self._is_running = True
        self._updates.post_snapshot(view)

    def seen(self) -> None:
        """Look now: while nobody could see the panel, it was seldom brought up to date."""
        self._feed.poke()

    def left(self, view: str) -> None:
        """Forget what this view has asked for: it was closed, or has been silent for long."""
        self._updates.forget(view)
        self._followers.stop(view)
        self._forms.forget(view)
        self._controller.forget(view)

    async def abandoned(self) -> None:
        """End everything until a view comes back."""
        self._stop()

    async def checked(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result: `failed` can tell of every error."""
        return await work

    def failed(self, error: Exception) -> None:
        """Show an error that nothing else has handled."""
        from runloop_sdk import RunloopError

        looking = isinstance(error, RunloopError | TimeoutError | EmbeddedServiceEnded)
        text = explain(error, self._session.client.connection) if looking else in_words(error)
        self._channel.post(messages.Notice(text, error=True))

    # What the page asks for

    def _receive(self, _: object, content: object, buffers: Sequence[memoryview]) -> None:
        self._channel.receive(content, buffers)

    def _want(self, view: str, wanted: messages.Want) -> None:
        self._updates.want(view, wanted.kinds)
        self._feed.poke()

    async def _retry(self, view: str, _: messages.Retry) -> None:
        await self._session.client.guard(self._session.client.sdk())  # starts the embedded service where it has ended
        self._feed.poke()

    def _close_tool(self, view: str, tool: messages.CloseTool) -> None:
        if close_message := self.tool_tabs.close(tool.key):
            self._channel.post(messages.Notice(close_message, error=False))

    # Its end

    async def _close(self) -> None:
        self._end(_CLOSED)

    def _end(self, text: str) -> None:
        self._stop()
        self._channel.end(text)

    def _stop(self) -> None:
        self._is_running = False
        self._feed.leave(self._updates)
        self._followers.stop_all()
        self._uploads.close()
        self.tool_tabs.close_all()
        self._tabs_changed()

    def _tabs_changed(self) -> None:
        self.children = [self.view, *(tool.widget for tool in self.tool_tabs.tools)]
        self._channel.post(messages.ToolsChanged(self.tool_tabs.open_tools, self.tool_tabs.active))

    def _has_row(self, kind: str, identity: str) -> bool:
        return self._feed.tables.row(kind, identity) is not None

    # Where no widgets are

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        table = static_panel(self._feed.tables)
        texts = {"text/plain": repr(table), "text/html": table._repr_html_()}
        if not is_live():  # the page that nbconvert makes would show an empty widget
            return texts
        if not self._channel.is_open:
            self._updates.post_first_rows(DEVBOX.name)
        return {**(super()._repr_mimebundle_(**options) or {}), **texts}


def static_panel(tables: Tables) -> Listing[DevboxInfo]:
    """Return the panel as a table that does not change, of the newest devboxes: a notebook saves it as text."""
    table = tables[DEVBOX.name]
    rows = DEVBOX.live(table.rows.values())
    shown = [_with_end(row) for row in DEVBOX.newest(rows, NEWEST)]
    current = tables.current or None
    if not table.complete:
        return devbox_listing(shown, current=current, note=_PERHAPS_MORE, none=_NOT_ALL_READ)
    more = len(rows) - len(shown)
    note = f"And {more:,} older ones: %devbox list shows them all." if more else ""
    return devbox_listing(shown, current=current, note=note)


def _with_end(row: Row) -> DevboxInfo:
    return replace(devbox_of(row), ends=_ending(row))


def _ending(row: Row) -> str:
    ended, until, with_kernel = (DEVBOX.value(row, key) for key in ("ended", "until", "with_kernel"))
    if ended:
        return ": ".join(filter(None, [ago(ended), DEVBOX.value(row, "reason")]))
    if with_kernel or not until:
        return str(with_kernel)
    return f"in {spell_duration(max(until / 1000 - time.time(), 0))}"


def _notice() -> str:
    """Return what the user must know about this kernel; empty where all is well."""
    from IPython.core.getipython import get_ipython

    if getattr(get_ipython(), "kernel", None) is None:
        return ""
    from importlib.metadata import version as version_of

    version = version_of("ipykernel")
    return "" if int(version.partition(".")[0]) >= 7 else _WAITS.format(version)
