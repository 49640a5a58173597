"""The tables that all panels of a session show, kept up to date by one task while anybody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..resources.kinds import KINDS
from ..widgets.poll_interval import delay, delay_after_failures
from .service_reader import EmbeddedServiceEnded, ServiceReader, explain
from .tables import Listener, Tables

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

    from ..client import Client
    from ..resources.devboxes import DevboxInfo
    from ..resources.kind import ResourceKind
    from ..resources.ownership import Ownerships
    from ..session import Session

_NOT_SERVED = (404, 405, 501)
_ROUND = 15  # looks until the kinds that nobody looks at are looked at as well, for their numbers


class Viewer(Listener, Protocol):
    """A panel that is looked at."""

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds that it shows now."""

    @property
    def visible(self) -> bool:
        """True if somebody can see it."""

    def ended(self) -> None:
        """There will be nothing to show any more."""


class Feed:
    """Keeps the tables of one session up to date. Everything happens on the notebook's loop."""

    def __init__(self, client: Client, ownerships: Ownerships, current: Callable[[], DevboxInfo | None]) -> None:
        self.tables = Tables()
        self._reader = ServiceReader(client, ownerships, self.tables, on_switch=self._begin_round)
        self._current_devbox = current
        self._viewers: list[Viewer] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._failures = 0
        self._looks = 0
        self._poked_at = time.monotonic()

    # Who looks

    def join(self, viewer: Viewer) -> None:
        """Keep this panel informed from now on."""
        if viewer not in self._viewers:
            self._viewers.append(viewer)
            self.tables.listeners.append(viewer)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self.poke()

    def leave(self, viewer: Viewer) -> None:
        """Tell this panel nothing more; the last one that leaves ends the task."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self.tables.listeners.remove(viewer)
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None
            self._reader.release()
            self._grow_old()

    def end(self) -> None:
        """The session is over: all panels end."""
        for viewer in tuple(self._viewers):
            viewer.ended()

    @property
    def running(self) -> bool:
        """True while anybody looks."""
        return self._task is not None

    def poke(self) -> None:
        """Look now."""
        self._poked_at = time.monotonic()
        self._wake.set()

    # Looking, as others ask for it

    def put(self, kind: str, entry: Mapping[str, Any]) -> None:
        """Insert or replace one resource, as an answer has told it."""
        row = self._reader.row(KINDS[kind], entry)
        if row is not None:
            self.tables.put(kind, row)

    def note_current(self) -> None:
        """The notebook may have another current devbox now."""
        devbox = self._current_devbox()
        self.tables.set_current(devbox.id if devbox else "")

    async def look(self, kinds: Iterable[str]) -> None:
        """Bring these kinds up to date; raises what stands in the way."""
        sdk = await self._reader.sdk()
        await asyncio.gather(*(self._reader.read(sdk, KINDS[name]) for name in kinds))
        self._note_answers(sdk)

    async def try_to_look(self, kinds: Iterable[str], *, within: float) -> None:
        """The same, as far as that goes in so many seconds: what stands in the way the task finds, and tells."""
        await self._as_far_as_it_goes(self.look(kinds), within)

    async def try_to_look_at_newest(self, kind: str, count: int, *, within: float) -> None:
        """Know the newest of a kind that have not ended, in the same way: with two requests at most."""
        await self._as_far_as_it_goes(self._look_at_newest(KINDS[kind], count), within)

    async def _look_at_newest(self, kind: ResourceKind[Any], count: int) -> None:
        if not self.running:  # what was seen when somebody looked last may be true no more
            self._reader.begin_anew(kind.name)
            self.tables.clear(kind.name)
        sdk = await self._reader.sdk()
        await self._reader.read_newest(sdk, kind)
        if self._reader.is_amid(kind.name) and len(kind.live(self.tables[kind.name].rows.values())) < count:
            await self._reader.read_on(sdk, kind)
        self._note_answers(sdk)
        self._note_outcome(kind.name, None, 0)

    async def _as_far_as_it_goes(self, look: Coroutine[Any, Any, None], within: float) -> None:
        from runloop_sdk import RunloopError

        try:
            async with asyncio.timeout(within):
                await look
        except (TimeoutError, RunloopError, EmbeddedServiceEnded):
            self.poke()

    async def fetch_all(self, kind: str) -> None:
        """See every page of a kind once, however many there are."""
        await self.look([kind])
        while self._reader.is_amid(kind):
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
            await self._reader.close_released()

    async def _try_to_look(self) -> float:
        """Look once; the result is the number of seconds until the next look. What goes wrong is told, not raised."""
        wanted = self._wanted()
        asked = self.tables.servable if self._looks % _ROUND == 0 else wanted
        began = time.monotonic()
        failed = await self._look_at_each(asked)
        self._looks += 1
        pause = self._pause(wanted, failed, began)
        for kind in asked:
            self._note_outcome(kind, failed.get(kind), pause)
        return pause

    async def _look_at_each(self, kinds: tuple[str, ...]) -> dict[str, Exception]:
        """Look at these; what went wrong with each, where something did."""
        try:
            sdk = await self._reader.sdk()
        except Exception as error:  # noqa: BLE001 - whatever it is, the panel says so and tries again
            return dict.fromkeys(kinds, error)
        looks = (self._reader.read(sdk, KINDS[name]) for name in kinds)
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        self._note_answers(sdk)
        return {kind: error for kind, error in zip(kinds, outcomes, strict=True) if isinstance(error, Exception)}

    def _pause(self, wanted: tuple[str, ...], failed: Mapping[str, Exception], began: float) -> float:
        errors = [failed[kind] for kind in wanted if kind in failed]
        self._failures = self._failures + 1 if errors else 0
        if errors:
            return delay_after_failures(self._failures, getattr(errors[0], "retry_after", None))
        if any(not self.tables[kind].complete for kind in wanted):
            return 0.0  # the first time all pages come one after the other
        now = time.monotonic()
        visible = any(viewer.visible for viewer in self._viewers)
        idle = now - max(self._poked_at, self.tables.changed_at)
        return delay(visible=visible, idle=idle, spent=now - began)

    def _note_answers(self, sdk: AsyncRunloopSDK) -> None:
        self.tables.set_clock(sdk.api.clock_ahead)
        self.note_current()

    def _note_outcome(self, kind: str, error: Exception | None, pause: float) -> None:
        if error is None:
            self.tables.set_served(kind, True)
            self.tables.set_health(kind, {"loading": not self.tables[kind].complete, "error": "", "retry": None})
            return
        self._reader.begin_anew(kind)
        if KINDS[kind].optional and getattr(error, "status_code", None) in _NOT_SERVED:
            self.tables.set_served(kind, False)
        retry = self.tables.now_ms() + round(pause * 1000)
        why = explain(error, self._reader.connection)
        self.tables.set_health(kind, {"loading": False, "error": why, "retry": retry})

    def _wanted(self) -> tuple[str, ...]:
        wanted = frozenset[str]().union(*(viewer.wanted for viewer in self._viewers))
        return tuple(kind for kind in KINDS if kind in wanted)

    def _grow_old(self) -> None:
        """Say of all tables that they load, until all has been seen again after nobody has looked."""
        for kind in KINDS:
            self._reader.begin_anew(kind)
            self.tables.set_incomplete(kind)
        self._begin_round()

    def _begin_round(self) -> None:
        self._looks = 0


_feeds: dict[Session, Feed] = {}  # until the session ends


def feed_of(session: Session) -> Feed:
    """Return the feed that all panels of a notebook share."""
    feed = _feeds.get(session)
    if feed is None:
        feed = _feeds[session] = Feed(session.client, session.ownerships, lambda: session.current)
        session.on_close.append(lambda: _feeds.pop(session).end())
    return feed
