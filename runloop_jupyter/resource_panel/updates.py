"""Tells the page of a panel what changes in the tables, and all that there is to a view that opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ..resources.kinds import KINDS
from ..widgets.protocol import panel as messages

if TYPE_CHECKING:
    from ..client import Client
    from ..resources.kind import Row
    from ..widgets.channel import Channel
    from .follow import Followers
    from .marks import Marks
    from .table import Change, Table
    from .tables import Tables
    from .tool_tabs import ToolTabs


_PART = 1000  # rows of one message
_SCREENFUL = 100  # rows, which no window shows more of at once


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
        """Send all that there is to one view, at first what it shows."""
        self._channel.post(self._snapshot(), view=view)
        shown = self._wanted.get(view, frozenset())
        for kind in sorted(KINDS, key=lambda kind: kind not in shown):
            for part in parts(kind, self._tables[kind]):
                self._channel.post(part, view=view)

    def post_first_rows(self, kind: str) -> None:
        """Send what a view that is about to open shows first: it need not wait until it has said hello."""
        self._channel.post_ahead(self._snapshot())
        self._channel.post_ahead(first_part(kind, self._tables[kind]))

    def changed(self, kind: str, change: Change) -> None:
        """Rows changed."""
        self._channel.post(messages.RowsChanged(kind, change.rows, change.gone))
        self._marks.forget(kind, change.gone)
        self._followers.changed(kind, {row[0] for row in change.rows}.union(change.gone))

    def replaced(self, kind: str) -> None:
        """All rows are different ones."""
        for part in parts(kind, self._tables[kind]):
            self._channel.post(part)

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

    def _snapshot(self) -> messages.Snapshot:
        connection = self._client.connection
        return messages.Snapshot(
            now=self._tables.now_ms(),
            kinds=self._tables.kinds,
            current=self._tables.current,
            health=dict(self._tables.health),
            marks=self._marks.all,
            service=connection.label if connection else "",
            tools=self._tool_tabs.open_tools,
            tool=self._tool_tabs.active,
            model=self._model,
        )


def parts(kind: str, table: Table) -> Iterator[messages.Table]:
    """Return all rows of a table, in parts of which none holds a page up for long."""
    rows = KINDS[kind].newest_first(table.rows.values())
    for start in range(0, max(len(rows), 1), _PART):
        yield _part(kind, rows[start : start + _PART], first=start == 0, last=start + _PART >= len(rows))


def first_part(kind: str, table: Table) -> messages.Table:
    """Return the newest rows that have not ended, which a new panel shows first; all rows where there are few."""
    if table.complete and len(table.rows) <= _SCREENFUL:
        return next(parts(kind, table))
    live = KINDS[kind].live(table.rows.values())
    return _part(kind, KINDS[kind].newest(live, _SCREENFUL), first=True, last=False)


def _part(kind: str, rows: Sequence[Row], *, first: bool, last: bool) -> messages.Table:
    """As bytes: as JSON of a message, ten thousand rows would cost some milliseconds."""
    return messages.Table(kind, to_json(rows), first, last)
