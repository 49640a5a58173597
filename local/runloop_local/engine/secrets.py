"""Secrets: values that devboxes and builds get into their environment, and that no answer ever shows."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .errors import InvalidError, NotFoundError
from .ids import new_id, now_ms
from .requests import Requests
from .store import Document

if TYPE_CHECKING:
    from .store import Page, Query, Store
    from .vault import Vault

MAX_VALUE_BYTES = 64 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret, its value sealed."""

    id: str
    name: str
    create_time_ms: int
    update_time_ms: int
    sealed: str = field(repr=False)


class Secrets:
    """All secrets of this machine, by id and by name."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._requests = Requests()
        self._naming = asyncio.Lock()

    async def create(self, name: str, value: str, request_id: str | None) -> SecretRecord:
        """A new secret; `InvalidError` where the name is taken."""
        known = self._requests.made("create", request_id)
        if known is not None:
            return await self.get(known)
        check_variable(name, "A secret's name")
        async with self._naming:
            if await self._store.bodies("secret", name=name):
                raise InvalidError(f"A secret is already called {name!r}: update it, or choose another name.")
            now = now_ms()
            record = await self._keep(SecretRecord(new_id("sec"), name, now, now, await self._sealed(value)))
        self._requests.note(record.id, "create", request_id)
        return record

    async def get(self, secret_id: str) -> SecretRecord:
        """The secret with this id; `NotFoundError` if there is none."""
        body = await self._store.get("secret", secret_id)
        if body is None:
            raise NotFoundError(f"No secret has the id {secret_id!r}.")
        return SecretRecord(**body)

    async def named(self, name: str) -> SecretRecord:
        """The secret with this name; `NotFoundError` if there is none."""
        found = await self._store.bodies("secret", name=name)
        if not found:
            raise NotFoundError(f"No secret is called {name!r}.")
        return SecretRecord(**found[0])

    async def page(self, query: Query) -> Page:
        """One page of the list, newest first."""
        return await self._store.page(query)

    async def update(self, record: SecretRecord, value: str) -> SecretRecord:
        """Give it another value."""
        return await self._keep(replace(record, sealed=await self._sealed(value), update_time_ms=now_ms()))

    async def delete(self, record: SecretRecord) -> None:
        """Forget it, value and all."""
        await self._store.delete("secret", record.id)

    async def require(self, wanted: Mapping[str, str]) -> None:
        """`NotFoundError` or `InvalidError` unless these variables can have the values of these secrets."""
        for variable, name in wanted.items():
            check_variable(variable, "An environment variable")
            await self.named(name)

    async def values(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Variables with values, for variables with the names of secrets."""
        return {
            variable: await self._vault.unseal((await self.named(name)).sealed) for variable, name in wanted.items()
        }

    async def _sealed(self, value: str) -> str:
        if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
            raise InvalidError(f"A secret's value is at most {MAX_VALUE_BYTES:,} bytes, none of which is 0.")
        return await self._vault.seal(value)

    async def _keep(self, record: SecretRecord) -> SecretRecord:
        await self._store.put(document(record))
        return record


def check_variable(name: str, what: str) -> None:
    """`InvalidError` unless `name` can be that of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        raise InvalidError(f"{what} is letters, digits and '_' and begins with no digit, unlike {name[:80]!r}.")


def document(record: SecretRecord) -> Document:
    """A secret as the store keeps it."""
    view = json.dumps(secret_view(record), ensure_ascii=False)
    body = asdict(record)
    return Document("secret", record.id, body, name=record.name, time_ms=record.create_time_ms, view=view)


def secret_view(record: SecretRecord) -> dict[str, Any]:
    """`SecretView`."""
    return {
        "id": record.id,
        "name": record.name,
        "create_time_ms": record.create_time_ms,
        "update_time_ms": record.update_time_ms,
    }
