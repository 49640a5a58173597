"""The state of a devbox: its record, kept the same in memory and in the store."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..change_notifier import ChangeNotifier
from ..errors import DiskFullError
from ..ids import now_ms
from ..storage.records import body_of, loader
from ..storage.store import Document
from ..views import devbox_view
from ..waiting import wait_until
from . import lifecycle
from .lifecycle import DevboxRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..storage.store import Store
    from .lifecycle import Status

_IRREVERSIBLE = lifecycle.TERMINAL | {"suspended"}
"""The moves that stand even if the disk is too full to store them: the processes have ended, and a restart of the
service would come to the same.
"""


class SupersededError(Exception):
    """The devbox has ended meanwhile, so work on it in the background has to stop."""


class DevboxState:
    """The record of one devbox. All moves and changes of it go through here."""

    def __init__(self, record: DevboxRecord, store: Store) -> None:
        self.record = record
        self.is_stored = True
        """False if the disk was too full to store the record as it is now; the next change stores it."""
        self._store = store
        self._changed = ChangeNotifier()
        self._moves_underway = 0
        """The moves that are on their way to the store."""
        self._moved_at: float | None = None

    @property
    def status(self) -> Status:
        """The current status."""
        return self.record.status

    @property
    def has_ended(self) -> bool:
        """True once it has been shut down or has failed."""
        return self.status in lifecycle.TERMINAL

    @property
    def is_gone(self) -> bool:
        """True if it has ended and nothing is left of it but its record."""
        return self.has_ended and not self.record.has_disk

    @property
    def in_status_ms(self) -> int | None:
        """Milliseconds since the last move; None if that was before this service began."""
        return None if self._moved_at is None else int((time.monotonic() - self._moved_at) * 1000)

    def begin(self) -> None:
        """Count the time that a new devbox is queued from now on."""
        self._moved_at = time.monotonic()

    async def wait(self, statuses: frozenset[str], timeout: float) -> bool:
        """Return True once the status is one of `statuses` and stored, False after `timeout` seconds."""
        return await wait_until(self._changed, lambda: self.status in statuses and not self._moves_underway, timeout)

    async def settled(self) -> None:
        """Return once the status is stored, so that what is told of it outlives the service."""
        await wait_until(self._changed, lambda: not self._moves_underway)

    async def move(
        self, status: Status, reason: str | None = None, *, notes: Sequence[Document] = (), **changes: Any
    ) -> None:
        """Move to `status` and store that together with `notes`; raises `InvalidError` if the status cannot follow."""
        before, moved_at = self.record, self._moved_at
        lasted_ms = self.in_status_ms
        # In memory at once, before anything is awaited: whoever asks for a move meanwhile is decided on by this one.
        self.record = moved = lifecycle.move(replace(before, **changes), status, now_ms(), reason, lasted_ms)
        self._moved_at = time.monotonic()
        self._moves_underway += 1
        try:
            await self.save(*notes)
        except DiskFullError:
            if status in _IRREVERSIBLE:
                self.is_stored = False
                return
            # Only if nothing came on top of it: what did has been decided on by this move, and stands.
            if self.record is moved:
                self.record, self._moved_at = before, moved_at
            raise
        finally:
            # Told also where it failed: whoever waits for the status looks again, and sees the one before.
            self._moves_underway -= 1
            self._changed.notify()

    async def advance(self, status: Status) -> None:
        """Take the next step of background work; raises `SupersededError` if the devbox has ended meanwhile."""
        self.require_live()
        # Looked at on both sides: an end that came before must not be moved away from, and one that came while the move
        # was being stored has already begun to remove what the next step needs.
        await self.move(status)
        self.require_live()

    def require_live(self) -> None:
        """Raise `SupersededError` if the devbox has ended."""
        if self.has_ended:
            raise SupersededError

    async def change(self, *notes: Document, **changes: Any) -> None:
        """Change fields of the record and store them together with `notes`."""
        before = self.record
        self.record = replace(before, **changes)  # at once, so that a move meanwhile keeps both
        try:
            await self.save(*notes)
        except BaseException:
            # What does not fit on the disk must not spoil what is stored later.
            own = {name: value for name, value in changes.items() if getattr(self.record, name) is value}
            self.record = replace(self.record, **{name: getattr(before, name) for name in own})
            raise

    def note(self, **changes: Any) -> None:
        """Change fields of the record in memory; the next move or change stores them."""
        self.record = replace(self.record, **changes)

    async def save(self, *notes: Document) -> None:
        """Store the record as it is now, together with `notes`."""
        # What has ended is about to make room, so it may use the room that is set aside for that.
        await self._store.put(document(self.record), *notes, urgent=self.status in _IRREVERSIBLE)
        self.is_stored = True


def document(record: DevboxRecord) -> Document:
    """The stored form of a devbox, without the key and token of its tunnel."""
    stored = record if record.tunnel is None else replace(record, tunnel=record.tunnel.stored())
    # The view has no tunnel: that of a devbox which lives is put in as it is listed.
    view = json.dumps(devbox_view(stored), ensure_ascii=False)
    return Document(
        "devbox",
        record.id,
        body_of(stored),
        status=record.status,
        name=record.name or "",
        time_ms=record.end_time_ms or record.create_time_ms,
        view=view,
    )


def loaded(body: Any) -> DevboxRecord:
    """The record from its stored form; raises `ValueError` if it is none."""
    record = _loaded(body)
    if not record.transitions:
        raise ValueError("transitions: there are none")
    return record


_loaded = loader(DevboxRecord)
