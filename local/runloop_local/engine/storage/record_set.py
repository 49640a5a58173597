"""Typed access to the documents of one kind in the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store import Document, Load, Store

R = TypeVar("R")
Notes = Callable[[R], "Sequence[Document]"]
"""The documents to store in one transaction with a change of a record."""


def _no_notes(_record: object) -> Sequence[Document]:
    return ()


class RecordSet(Generic[R]):
    """The records of one kind, by id. `loaded` parses a stored body, `document` returns the stored form."""

    def __init__(self, store: Store, kind: str, loaded: Load[R], document: Callable[[R], Document]) -> None:
        self._store = store
        self._kind = kind
        self._loaded = loaded
        self._document = document

    async def get(self, record_id: str) -> R:
        """The record of this id; raises `NotFoundError`."""
        return self._found(record_id, await self._store.record(self._kind, record_id, self._loaded))

    async def put(self, record: R, *notes: Document) -> R:
        """Store a record, with notes in the same transaction."""
        await self._store.put(self._document(record), *notes)
        return record

    async def change(
        self, record_id: str, change: Callable[[R], R], notes: Notes[R] = _no_notes, *, urgent: bool = False
    ) -> R:
        """Store the result of `change` on a record, with the notes on it; returns the changed record.

        The record is read, changed and written in one step, so that concurrent changes do not overwrite each other.
        If `change` raises, nothing is changed. Raises `NotFoundError` if the record does not exist (any more).
        """
        outcome: list[R] = []

        def changed(found: R | None) -> Sequence[Document]:
            before = self._found(record_id, found)
            after = change(before)
            outcome[:] = [after]
            noted = notes(after)
            return noted if after is before else (self._document(after), *noted)

        await self._store.modify(self._kind, record_id, self._loaded, changed, urgent=urgent)
        return outcome[0]

    async def delete(self, record_id: str, notes: Notes[R] = _no_notes) -> R:
        """Delete a record, and store the notes on it; returns what it was.

        It is read and deleted in one step, so that of two deletions one raises `NotFoundError`, and the notes say what
        was deleted.
        """
        outcome: list[R] = []

        def noted(found: R | None) -> Sequence[Document]:
            outcome[:] = [self._found(record_id, found)]
            return notes(outcome[0])

        await self._store.modify(self._kind, record_id, self._loaded, noted, delete=True, urgent=True)
        return outcome[0]

    def _found(self, record_id: str, found: R | None) -> R:
        if found is None:
            raise NotFoundError(f"No {self._kind} has the id {record_id!r}.")
        return found
