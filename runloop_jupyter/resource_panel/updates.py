"""Tells the page of a panel what changes in the tables, and all that there is to a view that opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ..resources.kinds import KINDS
from ..widgets.protocol import panel as messages

if TYPE_CHECKING:
    from ..client import Client
    from ..widgets.channel import Channel
    from .follow import Followers
    from .marks import Marks
    from .table import Change, Table
    from .tables import Tables
    from .tool_tabs import ToolTabs


class PanelUpdates:
    """The viewer of a feed for one panel, whose cell shows the widget with the id `model`.

    `end` is called when there will be nothing to show any more.
    """

    def __init__(
        self,
        client: Client,
        tables: Tables,
        channel: Channel,
        marks: Marks,
        followers: Followers,
        tool_tabs: ToolTabs,
        *,
        model: str,
        end: Callable[[], None],
    ) -> None:
        self._client = client
        self._tables = tables
        self._channel = channel
        self._marks = marks
        self._followers = followers
        self._tool_tabs = tool_tabs
        self._model = model
        self._end = end
        self._wanted: dict[str, frozenset[str]] = {}

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds that any view shows now."""
        return frozenset[str]().union(*self._wanted.values())

    @property
    def visible(self) -> bool:
        """True if somebody can see the panel."""
        return self._channel.visible

    def want(self, view: str, kinds: Sequence[str]) -> None:
        """A view shows these kinds now."""
        self._wanted[view] = frozenset(kinds) & KINDS.keys()

    def forget(self, view: str) -> None:
        """A view is gone."""
        self._wanted.pop(view, None)

    def post_snapshot(self, view: str) -> None:
        """Send all that there is to one view."""
        connection = self._client.connection
        snapshot = messages.Snapshot(
            now=self._tables.now_ms(),
            kinds=self._tables.kinds,
            current=self._tables.current,
            health=self._tables.health,
            marks=self._marks.all,
            service=connection.label if connection else "",
            tools=self._tool_tabs.open_tools,
            tool=self._tool_tabs.active,
            model=self._model,
        )
        self._channel.post(snapshot, view=view)
        for kind in KINDS:
            self._channel.post(table_event(kind, self._tables[kind]), view=view)

    def changed(self, kind: str, change: Change) -> None:
        """Rows changed."""
        self._channel.post(messages.RowsChanged(kind, change.rows, change.gone))
        self._marks.forget(kind, change.gone)
        self._followers.changed(kind, {row[0] for row in change.rows}.union(change.gone))

    def replaced(self, kind: str) -> None:
        """All rows are different ones."""
        self._channel.post(table_event(kind, self._tables[kind]))

    def health_changed(self, kind: str, health: messages.Health) -> None:
        """Looking at a kind goes better or worse."""
        self._channel.post(messages.HealthChanged(kind, health))

    def kinds_changed(self, kinds: tuple[str, ...]) -> None:
        """These kinds have a tab now."""
        self._channel.post(messages.KindsChanged(kinds))

    def current_changed(self, devbox_id: str) -> None:
        """The notebook's current devbox is another one."""
        self._channel.post(messages.CurrentChanged(devbox_id))

    def clock_changed(self) -> None:
        """The service's clock shows another time than was believed."""
        self._channel.post(messages.ClockChanged(self._tables.now_ms()))

    def ended(self) -> None:
        """There will be nothing to show any more."""
        self._end()


def table_event(kind: str, table: Table) -> messages.Table:
    """Return all rows of a table as bytes: as JSON of a message ten thousand of them would cost some milliseconds."""
    return messages.Table(kind, to_json(list(table.rows.values())))
