"""Settings that are only kept: created, shown, changed, deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import NotFoundError
from .ids import new_id, now_ms
from .requests import Requests
from .store import Document, Query

if TYPE_CHECKING:
    from .store import Page, Store


class Catalogue:
    """Entries of one kind. An entry is its own public view."""

    def __init__(self, store: Store, kind: str, prefix: str) -> None:
        self._store = store
        self._kind = kind
        self._prefix = prefix
        self._requests = Requests()

    async def create(self, fields: Mapping[str, Any], request_id: str | None) -> dict[str, Any]:
        """A new entry; the same request once more is the same entry."""
        known = self._requests.made("create", request_id)
        if known is not None:
            return await self.get(known)
        now = now_ms()
        entry = {"id": new_id(self._prefix), **fields, "create_time_ms": now, "update_time_ms": now}
        await self._keep(entry)
        self._requests.note(entry["id"], "create", request_id)
        return entry

    async def get(self, entry_id: str) -> dict[str, Any]:
        """One entry; `NotFoundError` if there is none."""
        body = await self._store.get(self._kind, entry_id)
        if body is None:
            raise NotFoundError(f"No {self._kind} has the id {entry_id!r}.")
        return body

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, entry_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields."""
        entry = {**await self.get(entry_id), **changes, "update_time_ms": now_ms()}
        await self._keep(entry)
        return entry

    async def delete(self, entry_id: str) -> dict[str, Any]:
        """Forget it; what it was."""
        entry = await self.get(entry_id)
        await self._store.delete(self._kind, entry_id)
        return entry

    async def _keep(self, entry: dict[str, Any]) -> None:
        view = json.dumps(entry, ensure_ascii=False)
        times = entry["create_time_ms"]
        await self._store.put(Document(self._kind, entry["id"], entry, name=entry["name"], time_ms=times, view=view))
