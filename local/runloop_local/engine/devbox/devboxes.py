"""All devboxes of this machine, and their way through a restart of the service."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ...sandbox.base import SandboxError
from ..build.disk import SANDBOX_PREFIX
from ..errors import DiskFullError, EngineError, NotFoundError
from ..ids import now_ms
from ..problems import telling
from ..storage.clearing import Clearing
from ..storage.idempotency import NO_REQUEST, rendered
from ..storage.store import Query
from ..views import tunnel_view
from . import lifecycle
from .devbox import Devbox
from .execution import UNFINISHED
from .execution import loaded as loaded_execution
from .lifecycle import DevboxRecord, Transition
from .state import DevboxState, document, loaded
from .supervisor import holder_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..fair_queue import Flow
    from ..storage.idempotency import Attempt
    from ..storage.store import Page
    from .services import DevboxServices

_FEW = 64
"""The number of devboxes among which it costs nothing to keep those that are gone."""


class Devboxes:
    """Devboxes by id: live ones in memory, ended ones in the store."""

    def __init__(self, services: DevboxServices) -> None:
        self._services = services
        self._live: dict[str, Devbox] = {}
        self._known: WeakValueDictionary[str, Devbox] = WeakValueDictionary()
        """All that somebody holds, ended ones too: two of one devbox would remove its disk at the same time."""
        self._states: WeakValueDictionary[str, DevboxState] = WeakValueDictionary()
        """The same of states: two of one devbox would not know of each other's changes."""
        self.problems = services.disk_problems
        self.size_notes = services.size_notes
        self._clearing = Clearing(services.store.notes)
        self._since = now_ms()
        self._look_at = _FEW
        """The number of devboxes at which those that are gone are dropped again."""

    async def restore(self) -> None:
        """Take up the devboxes of the last service: none runs, but their disks are there.

        Ended ones are cleared away in the background, so the time does not grow with their number.
        """
        left = self._services.isolation.sandboxes()
        moved: list[Devbox] = []
        sealed = False
        for status in lifecycle.LIVE:
            for record in await self._services.store.records("devbox", loaded, status=status):
                known, sealed = await self._with_tunnel(record), sealed or _was_plain(record)
                devbox = self._take_up(lifecycle.after_restart(known, self._since), has_disk=record.id in left)
                moved += [devbox] if devbox.status != status or _was_plain(record) else []
        # Commands that were running died with the service, or with its machine: nobody else will ever tell their end.
        documents = [document(devbox.record) for devbox in moved]
        for unfinished in UNFINISHED:
            left_over = await self._services.store.records("execution", loaded_execution, status=unfinished)
            documents += [self._services.history.killed(record).document() for record in left_over]
        try:
            await self._services.store.put(*documents, urgent=True)
            if sealed:
                await self._services.store.write_out()
        except DiskFullError:
            for devbox in moved:
                devbox.state.is_stored = False
        self._clearing.begin("What ended before", self.clear_away())

    async def create(self, record: DevboxRecord, attempt: Attempt = NO_REQUEST) -> Devbox:
        """A new devbox, on its way to running."""
        # Here, where memory grows anyway, so that no timer is needed for it. Not each time, as all are looked at.
        if len(self._live) >= self._look_at:
            self._drop_ended()
        if record.tunnel is not None:
            record = replace(record, tunnel=await record.tunnel.sealed_by(self._services.vault))
        if record.owner is not None:
            self._services.kernels.require(record.owner.id)  # with no await until it is known: it may end any moment
        devbox = self._keep(replace(record, transitions=(Transition("queued", record.create_time_ms),)))
        try:
            await devbox.state.save(*attempt.note(record.id))
        # Not stored is not created: the id was told to nobody, and its layers must not be held for ever.
        except BaseException:
            del self._live[record.id]
            self._services.layers.release(holder_of(record.id))
            raise
        devbox.launch()
        return devbox

    async def get(self, devbox_id: str) -> Devbox:
        """One devbox, to do something with it; raises `NotFoundError` if there never was one."""
        state = await self.state(devbox_id)
        return self._known.get(devbox_id) or self._known.setdefault(devbox_id, Devbox(state, self._services))

    async def state(self, devbox_id: str) -> DevboxState:
        """The state of one devbox, to read it; that of one which has ended comes from the store.

        Raises `NotFoundError` if there never was one.
        """
        known = self._states.get(devbox_id)
        if known is not None and not known.is_gone:
            return known
        # Asked again for one that is gone: its record may have been removed since.
        record = await self._services.store.record("devbox", devbox_id, loaded)
        if record is None:
            raise NotFoundError(f"No devbox has the id {devbox_id!r}.")
        return self._states.get(devbox_id) or self._states.setdefault(
            devbox_id, DevboxState(record, self._services.store)
        )

    def find(self, devbox_id: str) -> Devbox | None:
        """A devbox that lives, or has ended and is still in use."""
        return self._known.get(devbox_id)

    def flow(self, devbox_id: str) -> Flow:
        """The turns to move data of a devbox, which may have ended."""
        devbox = self.find(devbox_id)
        return self._services.fair_queue.flow(devbox_id) if devbox is None else devbox.processes.flow

    async def page(self, query: Query, *, tunnels: bool = True) -> Page:
        """One page of the list, newest first; without `tunnels` it leaves their keys and tokens out."""
        page = await self._services.store.page(query)
        if not tunnels or not any(devbox.record.tunnel for devbox in self._live.values()):
            return page
        return replace(page, views=tuple(map(self._listed, page.views)))

    def _listed(self, view: str) -> str:
        """A stored view with its tunnel, which the store does not keep in views."""
        listed = json.loads(view)
        known = self._live.get(listed["id"])
        if known is None or known.record.tunnel is None:
            return view
        return rendered({**listed, "tunnel": tunnel_view(known.record.tunnel)})

    def counts(self) -> dict[str, int]:
        """The number of devboxes in each status; those that are gone are not counted."""
        statuses = [devbox.status for devbox in self._live.values() if not devbox.state.is_gone]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def live(self) -> Iterator[Devbox]:
        """The devboxes that have not ended, and some that have ended a moment ago."""
        return iter(self._live.values())

    @property
    def busy(self) -> bool:
        """True while a devbox runs or is on its way."""
        return any(devbox.status in lifecycle.BUSY for devbox in self._live.values())

    async def aclose(self) -> None:
        """End all processes; disks stay."""
        await self._clearing.aclose()
        closing = [devbox.close() for devbox in self._live.values()]
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if outcome is not None:
                raise outcome

    def _drop_ended(self) -> None:
        for devbox in [devbox for devbox in self._live.values() if devbox.state.is_gone]:
            del self._live[devbox.record.id]
        self._look_at = max(_FEW, 2 * len(self._live))

    def _take_up(self, record: DevboxRecord, *, has_disk: bool) -> Devbox:
        if record.status in lifecycle.TERMINAL:
            record = replace(record, has_disk=has_disk)
        return self._keep(record)

    async def _with_tunnel(self, record: DevboxRecord) -> DevboxRecord:
        """A record from the store, with the key and token of its tunnel."""
        if record.tunnel is None:
            return record
        if _was_plain(record):
            return replace(record, tunnel=await record.tunnel.sealed_by(self._services.vault))
        try:
            tunnel = await record.tunnel.unsealed_by(self._services.vault, f"The tunnel of devbox {record.id} was")
        except EngineError as error:
            self._services.store.notes.add(str(error), "tunnel", record.id)
            return record
        return replace(record, tunnel=tunnel)

    def _keep(self, record: DevboxRecord) -> Devbox:
        devbox = Devbox(DevboxState(record, self._services.store), self._services)
        self._states[record.id] = devbox.state
        self._live[record.id] = self._known[record.id] = devbox
        self._services.layers.hold(holder_of(record.id), record.layers)
        return devbox

    async def clear_away(self) -> None:
        """Remove disks of ended devboxes that a kill of the service, or an error of this machine, has left."""
        for devbox in [devbox for devbox in self._live.values() if devbox.status in lifecycle.TERMINAL]:
            await self._clear(devbox.record.id, devbox.remove_disk)
        self._drop_ended()
        left = [name for name in self._services.isolation.sandboxes() if not name.startswith(SANDBOX_PREFIX)]
        statuses = await self._services.store.statuses("devbox", left)
        for name in left:
            if name.partition(".")[0] not in self._live:  # one that is being made has its name with an ending
                await self._clear(name, partial(self._remove_left, name, statuses.get(name)))
        unknown = [name for name in left if name not in statuses and _is_devbox(name)]
        self._services.store.notes.unowned(unknown, "disk", "in sandboxes/")
        await self._services.store.forget_positions()

    async def _clear(self, name: str, remove: Callable[[], Awaitable[None]]) -> None:
        with (
            suppress(SandboxError, EngineError, OSError),
            telling(self.problems, name, f"The disk of {name}, which has ended, cannot be removed"),
        ):
            await remove()

    async def _remove_left(self, name: str, status: str | None) -> None:
        """Remove a disk only if a readable record says that its devbox has ended."""
        if status in lifecycle.TERMINAL:
            await (await self.get(name)).remove_disk()
        elif status is None and not _is_devbox(name):  # half made, or made to try something out
            await (await self._services.isolation.create(name)).destroy()


def _was_plain(record: DevboxRecord) -> bool:
    """Return True if an earlier version has stored the key and token of its tunnel unencrypted."""
    return record.tunnel is not None and not record.tunnel.sealed


def _is_devbox(name: str) -> bool:
    return name.startswith("dbx_") and "." not in name
