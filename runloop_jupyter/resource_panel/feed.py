"""The tables that all panels of a session show, kept up to date by one task while anybody looks.

A look asks for the newest page; where the list is longer, it also asks for one page of the rest, in turn. So a look
costs the same for ten thousand devboxes as for two thousand, and each of them is seen every few looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..resources.kind import ResourceKind, Row
from ..resources.kinds import KINDS
from .poll_interval import delay, delay_after_failures
from .table import Change, Table

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..client import Client
    from ..connection import Connection
    from ..resources.devboxes import DevboxInfo
    from ..resources.ownership import Ownerships
    from ..session import Session

_HEAD = 200  # entries of the newest page
_PAGE = 1000  # entries of a page of the rest
_PATIENCE = 12.0  # seconds for one answer
_NOT_SERVED = (404, 405, 501)
_TOLERANCE = 2.0  # seconds: answers say the time to a second, and were on their way for a moment
_ROUND = 15  # looks until the kinds that nobody looks at are looked at as well, for their numbers


@dataclass(frozen=True, slots=True)
class Health:
    """The health of looking at a kind. `retry_ms` is when it is tried again, in milliseconds since 1970."""

    loading: bool = True
    error: str = ""
    retry_ms: int | None = None


class Listener(Protocol):
    """A panel."""

    wanted: frozenset[str]
    """The kinds that it shows now."""
    visible: bool

    def changed(self, kind: str, change: Change) -> None:
        """Rows changed."""

    def replaced(self, kind: str) -> None:
        """All rows are different ones."""

    def told(self, kind: str, health: Health) -> None:
        """Looking goes better or worse."""

    def served(self, kinds: tuple[str, ...]) -> None:
        """These kinds have a tab."""

    def chosen(self, devbox_id: str) -> None:
        """The notebook's current devbox is another one; empty for none."""

    def clocked(self) -> None:
        """The service's clock shows another time than was believed."""

    def ended(self) -> None:
        """There will be nothing to show any more."""


class EmbeddedServiceEnded(Exception):  # noqa: N818 - what happened, not what went wrong in here
    """The embedded service does not run."""


class _Sweep:
    """The walk over the pages after the newest one: where it stands, and when it began."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.began_at = 0.0


class Feed:
    """The tables of one session. Everything happens on the notebook's loop."""

    def __init__(self, client: Client, ownerships: Ownerships, current: Callable[[], DevboxInfo | None]) -> None:
        self.tables = {name: Table() for name in KINDS}
        self.health = dict.fromkeys(KINDS, Health())
        self.current = ""
        self._ahead = 0.0
        self._service_client = client
        self._ownerships = ownerships
        self._current_devbox = current
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._sweeps = {name: _Sweep() for name in KINDS}
        self._served: dict[str, bool] = {name: True for name, kind in KINDS.items() if not kind.optional}
        self._failures = 0
        self._looks = 0
        self._active_at = time.monotonic()
        self._sdk: AsyncRunloopSDK | None = None
        self._connection: Connection | None = None
        self._ownership_index = ownerships.none()

    # Who looks

    def join(self, listener: Listener) -> None:
        """Keep this panel informed from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self.poke()

    def leave(self, listener: Listener) -> None:
        """Tell this panel nothing more; the last one that leaves ends the task."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    def end(self) -> None:
        """The session is over: all panels end."""
        for listener in tuple(self._listeners):
            listener.ended()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have a tab."""
        return tuple(name for name in KINDS if self._served.get(name, False))

    @property
    def running(self) -> bool:
        """True while anybody looks."""
        return self._task is not None

    def poke(self) -> None:
        """Look now."""
        self._active_at = time.monotonic()
        self._wake.set()

    # What is known

    def row(self, kind: str, identity: str) -> Row | None:
        """A row as last seen."""
        return self.tables[kind].rows.get(identity)

    def now_ms(self) -> int:
        """Return the time of the service's clock (ms since 1970): all times that it sends are of that clock."""
        return round((time.time() + self._ahead) * 1000)

    def put(self, kind: str, entry: Mapping[str, Any]) -> None:
        """This is how one resource is now: what an action was answered."""
        row = self._row(KINDS[kind], entry)
        if row is not None:
            self._tell(kind, self.tables[kind].put(row, time.monotonic()))

    def drop(self, kind: str, identity: str) -> None:
        """One resource is gone."""
        self._tell(kind, self.tables[kind].drop(identity))

    async def look(self, kinds: Iterable[str]) -> None:
        """Bring these kinds up to date; raises what stands in the way."""
        sdk = await self._client()
        await asyncio.gather(*(self._look_at(sdk, KINDS[name]) for name in kinds))
        self._note_clock(sdk)
        self.note_current()

    async def try_to_look(self, kinds: Iterable[str], *, within: float) -> None:
        """The same, as far as that goes in so many seconds: what stands in the way the task finds, and tells."""
        from runloop_sdk import RunloopError

        try:
            async with asyncio.timeout(within):
                await self.look(kinds)
        except (TimeoutError, RunloopError, EmbeddedServiceEnded):
            self.poke()

    async def fetch_all(self, kind: str) -> None:
        """See every page of a kind once, however many there are."""
        await self.look([kind])
        while self._sweeps[kind].cursor is not None:
            await self.look([kind])

    # The task

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                pause = await self._try_to_look()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self._disconnect()

    async def _try_to_look(self) -> float:
        """Look once; the result is the number of seconds until the next look. What goes wrong is told, not raised."""
        wanted = self._wanted()
        asked = self._round() if self._looks % _ROUND == 0 else wanted
        began = time.monotonic()
        failed = await self._look_at_each(asked)
        self._looks += 1
        pause = self._pause(wanted, failed, began)
        for kind in asked:
            self._note_outcome(kind, failed.get(kind), pause)
        return pause

    async def _look_at_each(self, kinds: Iterable[str]) -> dict[str, Exception]:
        """Look at these; what went wrong with each, where something did."""
        kinds = tuple(kinds)
        try:
            sdk = await self._client()
        except Exception as error:  # noqa: BLE001 - whatever it is, the panel says so and tries again
            return dict.fromkeys(kinds, error)
        looks = (self._look_at(sdk, KINDS[name]) for name in kinds)
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        self._note_clock(sdk)
        self.note_current()
        return {kind: error for kind, error in zip(kinds, outcomes, strict=True) if isinstance(error, Exception)}

    def _pause(self, wanted: tuple[str, ...], failed: Mapping[str, Exception], began: float) -> float:
        errors = [failed[kind] for kind in wanted if kind in failed]
        self._failures = self._failures + 1 if errors else 0
        if errors:
            return delay_after_failures(self._failures, getattr(errors[0], "retry_after", None))
        if any(not self.tables[kind].complete for kind in wanted):
            return 0.0  # the first time all pages come one after the other
        now = time.monotonic()
        visible = any(listener.visible for listener in self._listeners)
        return delay(visible=visible, idle=now - self._active_at, spent=now - began)

    def _note_outcome(self, kind: str, error: Exception | None, pause: float) -> None:
        if error is None:
            self._set_served(kind, True)
            self._set_health(kind, Health(loading=False))
            return
        self._sweeps[kind] = _Sweep()  # what it stood at may be gone
        if KINDS[kind].optional and getattr(error, "status_code", None) in _NOT_SERVED:
            self._set_served(kind, False)
        retry = self.now_ms() + round(pause * 1000)
        self._set_health(kind, Health(False, explain(error, self._connection), retry))

    def _wanted(self) -> tuple[str, ...]:
        wanted = frozenset[str]().union(*(listener.wanted for listener in self._listeners))
        return tuple(kind for kind in KINDS if kind in wanted)

    def _round(self) -> tuple[str, ...]:
        """All kinds but those that the service is known not to have."""
        return tuple(kind for kind in KINDS if self._served.get(kind, True))

    def _set_served(self, kind: str, served: bool) -> None:
        """A kind that not every service has gets its tab once it was seen, and loses it where it is not served."""
        if self._served.get(kind, False) == served:
            self._served[kind] = served
            return
        self._served[kind] = served
        for listener in tuple(self._listeners):
            listener.served(self.kinds)

    # Looking

    async def _look_at(self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any]) -> None:
        if kind.belongs_to_kernels:
            self._ownership_index = await self._ownerships.index()
        table, sweep, asked_at = self.tables[kind.name], self._sweeps[kind.name], time.monotonic()
        head, more = await self._page(sdk, kind, _HEAD, None)
        self._tell(kind.name, table.take(self._rows(kind, head), asked_at))
        if not more:
            sweep.cursor = None
            self._tell(kind.name, table.finish(asked_at))
            return
        if sweep.cursor is None:
            sweep.cursor, sweep.began_at = head[-1].get("id"), asked_at
        asked_at = time.monotonic()
        page, more = await self._page(sdk, kind, _PAGE, sweep.cursor)
        self._tell(kind.name, table.take(self._rows(kind, page), asked_at))
        sweep.cursor = page[-1].get("id") if more else None
        if sweep.cursor is None:
            self._tell(kind.name, table.finish(sweep.began_at))

    def _rows(self, kind: ResourceKind[Any], entries: Iterable[Mapping[str, Any]]) -> Iterable[Row]:
        rows = (self._row(kind, entry) for entry in entries)
        return (row for row in rows if row is not None)

    def _row(self, kind: ResourceKind[Any], entry: Mapping[str, Any]) -> Row | None:
        if not kind.belongs_to_kernels:
            return kind.row(entry)
        identity = str(entry.get("id"))
        belonging = self._ownership_index.of(identity)
        renewed = self._ownerships.owned.renewed_at(identity)
        launch = entry.get("launch_parameters")
        seconds = launch.get("keep_alive_time_seconds") if isinstance(launch, Mapping) else None
        known = {
            "owner": belonging.owner,
            "with_kernel": belonging.end(seconds if isinstance(seconds, int) else None),
            "renewed_time_ms": round((renewed + self._ahead) * 1000) if renewed else None,
        }
        return kind.row({**entry, **known})

    async def _page(
        self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any], limit: int, after: str | None
    ) -> tuple[list[Mapping[str, Any]], bool]:
        query = {"limit": limit, "include_total_count": False} | ({"starting_after": after} if after else {})
        answer = await self._ask(sdk, kind, query)
        items = answer.get(kind.items) if isinstance(answer, Mapping) else None
        found = [entry for entry in items if isinstance(entry, Mapping)] if isinstance(items, list) else []
        stuck = bool(found) and found[-1].get("id") in (after, None)
        return found, bool(found) and not stuck and answer.get("has_more") is True

    async def _ask(self, sdk: AsyncRunloopSDK, kind: ResourceKind[Any], query: Mapping[str, Any]) -> Any:
        async with asyncio.timeout(_PATIENCE):
            return await sdk.api.get_json(kind.path, query)

    # The connection: the feed's own, which neither retries in silence nor is closed by a cell

    async def _client(self) -> AsyncRunloopSDK:
        from runloop_sdk import AsyncRunloopSDK

        now = self._service_client.service()
        if now is None:
            raise EmbeddedServiceEnded
        if self._sdk is None or now != self._connection:
            await self._disconnect()
            self._meet(now)
            self._sdk = AsyncRunloopSDK(bearer_token=now.api_key, base_url=now.base_url, max_retries=0)
        return self._sdk

    def _meet(self, now: Connection) -> None:
        before, self._connection = self._connection, now
        if before is None or before.service == now.service:
            return
        self._looks = 0
        for kind, table in self.tables.items():  # they belong to another service
            table.clear()
            self._sweeps[kind] = _Sweep()
            self._set_health(kind, Health())
            for listener in self._listeners:
                listener.replaced(kind)

    async def _disconnect(self) -> None:
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.aclose()

    # Telling

    def _tell(self, kind: str, change: Change | None) -> None:
        if change is None:
            return
        self._active_at = time.monotonic()
        for listener in tuple(self._listeners):
            listener.changed(kind, change)

    def _set_health(self, kind: str, health: Health) -> None:
        if health == self.health[kind]:
            return
        self.health[kind] = health
        for listener in tuple(self._listeners):
            listener.told(kind, health)

    def _note_clock(self, sdk: AsyncRunloopSDK) -> None:
        ahead = sdk.api.clock_ahead
        if abs(ahead - self._ahead) > _TOLERANCE:
            self._ahead = ahead
            for listener in tuple(self._listeners):
                listener.clocked()

    def note_current(self) -> None:
        """The notebook may have another current devbox now."""
        devbox = self._current_devbox()
        current = devbox.id if devbox else ""
        if current != self.current:
            self.current = current
            for listener in tuple(self._listeners):
                listener.chosen(current)


_feeds: dict[Session, Feed] = {}  # until the session ends


def feed_of(session: Session) -> Feed:
    """Return the feed that all panels of a notebook share."""
    feed = _feeds.get(session)
    if feed is None:
        feed = _feeds[session] = Feed(session.client, session.ownerships, lambda: session.current)
        session.on_close.append(lambda: _feeds.pop(session).end())
    return feed


def explain(error: Exception, connection: Connection | None) -> str:
    """Explain an error to the panel's user: what went wrong, and what to do."""
    from runloop_sdk import APIConnectionError, APIStatusError, AuthenticationError, RateLimitError

    label = connection.label if connection else "Runloop"
    label = label[0].upper() + label[1:]
    if isinstance(error, EmbeddedServiceEnded):
        return "The embedded service has ended. The next cell that uses it starts it again, or press Start."
    if isinstance(error, AuthenticationError):
        return f"{label} does not accept the API key (401). Set a valid RUNLOOP_API_KEY."
    if isinstance(error, RateLimitError):
        return f"{label} asks for fewer requests (429)."
    if isinstance(error, APIStatusError):
        return f"{label} answered {error.status_code}: {error.message}."
    if isinstance(error, TimeoutError):
        return f"{label} does not answer ({_PATIENCE:.0f} s)."
    if isinstance(error, APIConnectionError):
        return f"{label} is out of reach: {error}"
    return str(error) or type(error).__name__
