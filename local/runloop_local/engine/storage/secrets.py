"""Secrets: values for the environment of devboxes and builds, which the API never returns."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import InvalidError, NotFoundError
from ..ids import new_id, now_ms
from .record_set import RecordSet
from .records import Record, body_of, loader
from .store import Document, Query
from .vault import encrypted_with_another_key

if TYPE_CHECKING:
    from .idempotency import Attempt
    from .store import Page, Store
    from .vault import Vault

MAX_VALUE_BYTES = 64 * 1024
_SEALED = "sealed"
_LOST = "lost"
_SHOWN = 5
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,254}")


@dataclass(frozen=True, slots=True)
class SecretRecord(Record):
    """A secret with its encrypted value."""

    id: str
    name: str
    create_time_ms: int
    update_time_ms: int
    sealed: str = field(repr=False)
    key_id: str = ""
    """The id of the service's key that has encrypted it."""


class Secrets:
    """All secrets of this machine, by id and by name."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._records = RecordSet(store, "secret", loaded, document)
        self._vault = vault
        self._name_lock = asyncio.Lock()
        self._other_key_secrets: dict[str, str] = {}

    async def restore(self, *, key_is_new: bool) -> None:
        """Note the secrets that were encrypted with another key; they are kept, as that key may be put back."""
        if await self._count() == await self._count(status=self._vault.key_id):
            return
        records = await self._store.records("secret", loaded)
        # Earlier versions did not store the key's id; it was the one in use then.
        key_id = _LOST if key_is_new else self._vault.key_id
        marked = [replace(record, key_id=record.key_id or key_id) for record in records]
        await self._store.put(*map(document, marked))
        self._other_key_secrets = {record.id: record.name for record in marked if record.key_id != self._vault.key_id}
        self._note()

    async def _count(self, status: str | None = None) -> int:
        return (await self._store.page(Query("secret", limit=0, status=status))).total_count or 0

    def _note(self) -> None:
        names = sorted(self._other_key_secrets.values())
        if names:
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            what = f"The secret {shown} was" if len(names) == 1 else f"{len(names)} secrets ({shown}) were"
            self._store.notes.add(encrypted_with_another_key(what), _SEALED)
        else:
            self._store.notes.remove(_SEALED)

    def _note_reencrypted(self, record: SecretRecord) -> None:
        """Note that a secret is encrypted with the current key now, or deleted."""
        if self._other_key_secrets.pop(record.id, None) is not None:
            self._note()

    async def create(self, name: str, value: str, attempt: Attempt) -> SecretRecord:
        """Create a secret; raises `InvalidError` if the name is taken."""
        if not _NAME.fullmatch(name):
            raise InvalidError(
                f"A secret's name is letters, digits, '_' and '-', and begins with a letter or '_', not {name[:80]!r}."
            )
        async with self._name_lock:
            if await self._store.records("secret", loaded, name=name):
                raise InvalidError(f"A secret is already called {name!r}: update it, or choose another name.")
            now = now_ms()
            sealed = await self._encrypt(value)
            record = SecretRecord(new_id("sec"), name, now, now, sealed, self._vault.key_id)
            await self._records.put(record, *attempt.note_reply(secret_view(record)))
        return record

    async def get(self, secret_id: str) -> SecretRecord:
        """The secret with this id; raises `NotFoundError`."""
        return await self._records.get(secret_id)

    async def named(self, name: str) -> SecretRecord:
        """The secret with this name; raises `NotFoundError`."""
        found = await self._store.records("secret", loaded, name=name)
        if not found:
            raise NotFoundError(f"No secret is called {name!r}.")
        return found[0]

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, record: SecretRecord, value: str) -> SecretRecord:
        """Replace its value; raises `NotFoundError` if it has been deleted meanwhile."""
        sealed, key_id = await self._encrypt(value), self._vault.key_id
        updated = await self._records.change(
            record.id,
            lambda kept: replace(kept, sealed=sealed, key_id=key_id, update_time_ms=now_ms(kept.update_time_ms)),
        )
        self._note_reencrypted(record)
        return updated

    async def delete(self, record: SecretRecord, attempt: Attempt) -> None:
        """Delete it with its value."""
        await self._records.delete(record.id, lambda deleted: attempt.note_reply(secret_view(deleted)))
        self._note_reencrypted(record)

    async def require(self, wanted: Mapping[str, str]) -> None:
        """Check that these secrets exist and the variables are valid; raises `NotFoundError` or `InvalidError`."""
        for variable, name in wanted.items():
            _check_variable(variable)
            await self.named(name)

    async def values(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """The values of secrets by variable, given their names by variable."""
        return {variable: await self._value(name) for variable, name in wanted.items()}

    async def _value(self, name: str) -> str:
        return await self._vault.unseal((await self.named(name)).sealed, f"The secret {name} was")

    async def _encrypt(self, value: str) -> str:
        if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
            raise InvalidError(f"A secret's value must have at most {MAX_VALUE_BYTES:,} bytes and no NUL character.")
        return await self._vault.seal(value)


def _check_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise InvalidError(
            f"An environment variable is letters, digits and '_', and begins with no digit, unlike {name[:80]!r}."
        )


def document(record: SecretRecord) -> Document:
    """The stored form of a secret."""
    view = json.dumps(secret_view(record), ensure_ascii=False)
    body = body_of(record)
    # The key's id is the status, so that secrets of other keys can be counted without reading all.
    return Document(
        "secret", record.id, body, status=record.key_id, name=record.name, time_ms=record.create_time_ms, view=view
    )


loaded = loader(SecretRecord)
"""Load a record from its stored form; raises `ValueError` if that is invalid."""


def secret_view(record: SecretRecord) -> dict[str, Any]:
    """`SecretView`."""
    return {
        "id": record.id,
        "name": record.name,
        "create_time_ms": record.create_time_ms,
        "update_time_ms": record.update_time_ms,
    }
