"""Configuration objects that are only stored: created, listed, updated, deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .ids import new_id, now_ms
from .storage.record_set import RecordSet
from .storage.records import Record, body_of, loader
from .storage.store import Document, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from .storage.idempotency import Attempt
    from .storage.store import Page, Store

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Entry(Record):
    """The fields that every entry has; others depend on the kind."""

    id: str
    name: str
    create_time_ms: int
    update_time_ms: int


_checked = loader(_Entry)


def loaded(body: Any) -> dict[str, Any]:
    """Load an entry from its stored form; raises `ValueError` if that is invalid."""
    return body_of(_checked(body))


class ConfigCollection:
    """The entries of one kind. An entry is stored in the form of its public view."""

    def __init__(self, store: Store, kind: str, prefix: str) -> None:
        self._store = store
        self._records: RecordSet[Entry] = RecordSet(store, kind, loaded, lambda entry: _document(kind, entry))
        self._prefix = prefix

    async def create(self, fields: Mapping[str, Any], attempt: Attempt) -> Entry:
        """Create an entry."""
        now = now_ms()
        entry = {"id": new_id(self._prefix), **fields, "create_time_ms": now, "update_time_ms": now}
        await self._records.put(entry, *attempt.note_reply(entry))
        return entry

    async def get(self, entry_id: str) -> Entry:
        """The entry of this id; raises `NotFoundError`."""
        return await self._records.get(entry_id)

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, entry_id: str, changes: Callable[[Entry], Mapping[str, Any]], attempt: Attempt) -> Entry:
        """Update an entry with the fields that `changes` returns for it; raises `NotFoundError`."""
        return await self._records.change(
            entry_id,
            lambda entry: {**entry, **changes(entry), "update_time_ms": now_ms(entry["update_time_ms"])},
            attempt.note_reply,
        )

    async def delete(self, entry_id: str, attempt: Attempt) -> Entry:
        """Delete an entry; returns what it was."""
        return await self._records.delete(entry_id, attempt.note_reply)


def _document(kind: str, entry: Entry) -> Document:
    view = json.dumps(entry, ensure_ascii=False)
    return Document(kind, entry["id"], entry, name=entry["name"], time_ms=entry["create_time_ms"], view=view)
