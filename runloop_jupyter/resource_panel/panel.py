"""The panel as a whole: the table of resources, and below it the tools that were opened.

The page sends intents, each a small message with a number that is answered at once; all state is here. Callbacks may
come on any thread: they do nothing but hand over to the notebook's loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import ipywidgets

from ..errors import MagicError
from ..kernel import loop
from ..kernel.prompts import is_live
from ..rendering import Listing, ago, devbox_listing
from ..resources.devboxes import DevboxInfo, describe
from ..resources.kind import Row
from ..resources.kinds import KINDS
from ..resources.kinds.devbox import DEVBOX, devbox_of
from ..text.durations import spell_duration
from .controller import PanelController, in_words
from .feed import EmbeddedServiceEnded, explain, feed_of
from .follow import Followers
from .marks import Marks
from .tool_tabs import TOOLS, ToolTabs
from .uploads import ObjectUploads
from .view import ResourceView
from .view_presence import ViewPresence

if TYPE_CHECKING:
    from ..session import Session
    from .feed import Feed, Health
    from .table import Change

Handler = Callable[..., Any]

_GRACE = 5.0  # seconds that a panel without a view goes on: a page that is reloaded is back by then
_CHECK = 30.0  # seconds between looks at whether anybody is left
_WAITS = "This kernel (ipykernel {}) answers clicks only between cells; ipykernel 7 answers while a cell runs."

_UNLOADED = "The extension was unloaded. Load it and run this cell again for a live panel."


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The widget of `%runloop panel`. `close` ends it; so does closing its output."""

    def __init__(self, session: Session) -> None:
        self.view = ResourceView(notice=_notice())
        super().__init__(children=[self.view])
        self.add_class("runloop-panel-box")
        self.wanted: frozenset[str] = frozenset({DEVBOX.name, *DEVBOX.shows_names_of})
        self.tool_tabs = ToolTabs(session, self._tabs_changed)
        self._session = session
        self._feed = feed_of(session)
        self._followers = Followers(session, self.view.post)
        self._presence = ViewPresence()
        self._marks = Marks(self.view.post, lambda kind, identity: self._feed.row(kind, identity) is not None)
        self._uploads = ObjectUploads(session, self._feed, self._say, self.view.post)
        self._controller = PanelController(
            session, self._feed, mark=self._marks.set, say=self._say, post=self.view.post
        )
        self._handlers: dict[str, Handler] = {
            "hello": self._on_hello,
            "here": self._on_here,
            "bye": self._on_bye,
            "want": self._on_want,
            "resync": self._on_resync,
            "retry": self._on_retry,
            "act": self._on_act,
            "prune": self._on_prune,
            "answer": self._controller.answer,
            "form": self._controller.open_form,
            "check": self._controller.check,
            "submit": self._controller.submit,
            "detail": self._followers.follow,
            "close_detail": self._followers.stop,
            "dismiss": self._marks.set,
            "show_tool": self.tool_tabs.show,
            "close_tool": self._on_close_tool,
            "upload": self._uploads.begin,
            "upload_part": self._uploads.take,
            "upload_end": self._uploads.end,
        }
        self._check: asyncio.TimerHandle | None = None
        self._over = False
        self.view.on_msg(self._received)

    def close(self) -> None:
        """End everything that it does, and take it off the page."""
        loop.start(self._end(), self._failed)
        super().close()

    @property
    def running(self) -> bool:
        """True while it is kept up to date."""
        return self._check is not None

    # What the page sends

    def _received(self, _: object, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        loop.start(self._take(content, buffers), self._failed)

    async def _take(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        self.view.post("ack", n=content.get("n"))
        if self._over:
            self.view.post("over", text=_UNLOADED)
            return
        op = content.get("op")
        handler = self._handlers.get(str(op))
        if handler is None:
            raise MagicError(f"The page asked for {op!r}, which this panel does not know: run its cell again.")
        rest = {key: value for key, value in content.items() if key not in ("op", "n")}
        if op == "upload_part":
            rest["piece"] = bytes(buffers[0])
        done = handler(**rest)
        if isawaitable(done):
            await done

    async def _on_hello(self, view: str, visible: bool, kinds: list[str]) -> None:
        self._presence.here(view, time.monotonic(), visible=visible)
        self._begin()
        self._want(kinds)
        self._welcome()

    async def _on_here(self, view: str, visible: bool) -> None:
        self._presence.here(view, time.monotonic(), visible=visible)
        if not self.running:
            self._begin()
            self._welcome()

    async def _on_bye(self, view: str) -> None:
        self._presence.gone(view)
        self._followers.stop(view)
        self._check_later(_GRACE)

    async def _on_want(self, kinds: list[str]) -> None:
        self._want(kinds)
        self._feed.poke()

    async def _on_resync(self, kind: str) -> None:
        self.view.post_table(kind, self._feed.tables[kind])

    async def _on_retry(self) -> None:
        await self._session.client.guard(self._session.client.sdk())  # starts the embedded service where it has ended
        self._feed.poke()

    async def _on_act(self, kind: str, action: str, ids: list[str]) -> None:
        chosen = KINDS[kind].action(action)
        self._feed.poke()
        if chosen.run is None or (len(ids) == 1 and any(form.name == action for form in KINDS[kind].forms)):
            await self._open(action, kind, ids[0])
        else:
            await self._controller.act(KINDS[kind], chosen, ids)

    async def _on_prune(self, kind: str) -> None:
        await self._feed.fetch_all(kind)
        self._controller.prune(KINDS[kind])

    async def _on_close_tool(self, key: str) -> None:
        if close_message := self.tool_tabs.close(key):
            self._say(close_message)

    # Beginning and end

    def _begin(self) -> None:
        self._feed.join(self)
        self._check_later(_CHECK)

    def _check_later(self, seconds: float) -> None:
        if self._check is not None:
            self._check.cancel()
        self._check = asyncio.get_running_loop().call_later(seconds, self._end_unless_seen)

    def _end_unless_seen(self) -> None:
        if self._presence.present(time.monotonic()):
            self._followers.stop_where(lambda view: not self._presence.has(view))
            self._check_later(_CHECK)
        else:
            self._stop()

    async def _end(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None
        self._feed.leave(self)
        self._followers.stop_where(lambda view: True)
        self._uploads.close()
        self.tool_tabs.close_all()
        self._tabs_changed()

    # What the feed tells

    @property
    def visible(self) -> bool:
        """True if somebody can see it."""
        return self._presence.visible(time.monotonic())

    def changed(self, kind: str, change: Change) -> None:
        """Rows changed."""
        self.view.post_change(kind, change)
        self._marks.forget(kind, change.gone)
        self._followers.changed(kind, {row[0] for row in change.rows}.union(change.gone))

    def replaced(self, kind: str) -> None:
        """All rows are different ones."""
        self.view.post_table(kind, self._feed.tables[kind])

    def told(self, kind: str, health: Health) -> None:
        """Looking goes better or worse."""
        self.view.post("health", kind=kind, **_health(health))

    def served(self, kinds: tuple[str, ...]) -> None:
        """These kinds have a tab."""
        self.view.post("served", kinds=list(kinds))

    def chosen(self, devbox_id: str) -> None:
        """The notebook's current devbox is another one."""
        self.view.post("current", id=devbox_id)

    def clocked(self) -> None:
        """The service's clock shows another time than was believed."""
        self.view.post("clock", now=self._feed.now_ms())

    def ended(self) -> None:
        """There will be nothing to show any more."""
        self._over = True
        self._stop()
        self.view.post("over", text=_UNLOADED)

    # What the page is told

    def _welcome(self) -> None:
        connection = self._session.client.connection
        self.view.post(
            "welcome",
            now=self._feed.now_ms(),
            served=list(self._feed.kinds),
            current=self._feed.current,
            health={kind: _health(health) for kind, health in self._feed.health.items()},
            marks=self._marks.spec(),
            service=connection.label if connection else "",
            tools=self.tool_tabs.spec(),
            tool=self.tool_tabs.active,
            model=self.model_id,
        )
        for kind, table in self._feed.tables.items():
            self.view.post_table(kind, table)

    def _want(self, kinds: Sequence[str]) -> None:
        self.wanted = frozenset(kinds) & KINDS.keys()

    def _say(self, text: str, *, error: bool = False) -> None:
        self.view.post("say", text=text, error=error)

    def _failed(self, error: Exception) -> None:
        """Show an error that nothing else has handled."""
        from runloop_sdk import RunloopError

        looking = isinstance(error, RunloopError | TimeoutError | EmbeddedServiceEnded)
        self._say(explain(error, self._session.client.connection) if looking else in_words(error), error=True)

    def _tabs_changed(self) -> None:
        self.children = [self.view, *(tool.widget for tool in self.tool_tabs.tools)]
        self.view.post("dock", tools=self.tool_tabs.spec(), tool=self.tool_tabs.active)

    # Tools and forms for one resource

    async def _open(self, action: str, kind: str, identity: str) -> None:
        if action in TOOLS:
            self.tool_tabs.open(action, await self._devbox(identity))
        elif action == "create_devbox":
            await self._controller.open_form(DEVBOX.name, f"{kind}:{identity}")
        else:
            await self._controller.open_action_form(KINDS[kind], action, identity)

    async def _devbox(self, identity: str) -> DevboxInfo:
        sdk = await self._session.client.sdk()
        return describe(await self._session.client.guard(sdk.devbox.from_id(identity).get_info()))

    # Where no widgets are

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        table = static_panel(self._feed)
        texts = {"text/plain": repr(table), "text/html": table._repr_html_()}
        if not is_live():  # the page that nbconvert makes would show an empty widget
            return texts
        return {**(super()._repr_mimebundle_(**options) or {}), **texts}


def static_panel(feed: Feed) -> Listing[DevboxInfo]:
    """The panel as a table that does not change."""
    rows = feed.tables[DEVBOX.name].rows.values()
    shown = [_with_end(row) for row in rows if DEVBOX.status(row) not in DEVBOX.ended]
    return devbox_listing(shown, current=feed.current or None)


def _with_end(row: Row) -> DevboxInfo:
    return replace(devbox_of(row), ends=_end(row))


def _end(row: Row) -> str:
    ended, until, with_kernel = (DEVBOX.value(row, key) for key in ("ended", "until", "with_kernel"))
    if ended:
        return ": ".join(filter(None, [ago(ended), DEVBOX.value(row, "reason")]))
    if with_kernel or not until:
        return str(with_kernel)
    return f"in {spell_duration(max(until / 1000 - time.time(), 0))}"


def _health(health: Health) -> dict[str, Any]:
    return {"loading": health.loading, "error": health.error, "retry": health.retry_ms}


def _notice() -> str:
    """Return what the user must know about this kernel; empty where all is well."""
    from IPython.core.getipython import get_ipython

    if getattr(get_ipython(), "kernel", None) is None:
        return ""
    from importlib.metadata import version as version_of

    version = version_of("ipykernel")
    return "" if int(version.partition(".")[0]) >= 7 else _WAITS.format(version)
