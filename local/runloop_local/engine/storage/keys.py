"""Additional API keys, besides the one that the service was started with. Only hashes of their secrets are stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..errors import ForbiddenError
from ..ids import new_id, now_ms
from .records import Record, body_of, loader
from .store import Document

if TYPE_CHECKING:
    from .idempotency import Attempt
    from .store import Store
    from .vault import Vault

Resource = Literal[
    "RESOURCE_TYPE_DEVBOXES",
    "RESOURCE_TYPE_BLUEPRINTS",
    "RESOURCE_TYPE_SNAPSHOTS",
    "RESOURCE_TYPE_OBJECTS",
    "RESOURCE_TYPE_ACCOUNT",
]
Level = Literal["ACCESS_LEVEL_NONE", "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE"]
_ORDER: tuple[Level, ...] = ("ACCESS_LEVEL_NONE", "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE")


@dataclass(frozen=True, slots=True)
class Key(Record):
    """An API key and its access rights."""

    id: str
    name: str | None = None
    expires_at_ms: int | None = None
    scopes: Mapping[Resource, Level] | None = None
    """The access level by resource; None for full access."""
    digest: str = field(default="", repr=False)
    """The hash of its secret."""

    def allows(self, resource: Resource, level: Level) -> bool:
        """True if it has this access level to these resources."""
        if self.scopes is None:
            return True
        return _ORDER.index(self.scopes.get(resource, "ACCESS_LEVEL_NONE")) >= _ORDER.index(level)


OWNER = Key("key_owner", "the key that the service was started with")


class Keys:
    """All additional keys, by the hashes of their secrets."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._known: dict[str, Key] = {}

    async def restore(self) -> None:
        """Load the stored keys."""
        for key in await self._store.records("key", loader(Key)):
            self._known[key.digest] = key

    def find(self, secret: str) -> Key | None:
        """The key with this secret; None if there is none, or it has expired."""
        key = self._known.get(_digest(secret))
        expired = key is not None and key.expires_at_ms is not None and key.expires_at_ms <= now_ms()
        return None if expired else key

    async def create(
        self,
        by: Key,
        name: str | None,
        expires_at_ms: int | None,
        scopes: Mapping[Resource, Level] | None,
        attempt: Attempt,
    ) -> tuple[Key, str]:
        """Create a key; returns it and its secret, which is stored only for retries, encrypted.

        Raises `ForbiddenError` for a key with more rights than its creator.
        """
        if attempt.made is not None:
            return await self._earlier_key(attempt.made)
        wanted = {} if scopes is None else scopes
        if by.scopes is not None and (scopes is None or not all(by.allows(*scope) for scope in wanted.items())):
            raise ForbiddenError("A restricted key cannot create a key that may do more than itself.")
        kind = "ak" if scopes is None else "rk"
        secret = f"{kind}_{secrets.token_urlsafe(32)}"
        key = Key(new_id("key"), name, expires_at_ms, scopes, _digest(secret))
        notes = () if attempt.request is None else attempt.note(await self._vault.seal(secret))
        await self._store.put(Document("key", key.id, body_of(key), name=name or ""), *notes)
        self._known[key.digest] = key
        return key, secret

    async def _earlier_key(self, sealed: str) -> tuple[Key, str]:
        secret = await self._vault.unseal(sealed, "The key that this request has made was")
        return self._known[_digest(secret)], secret


def _digest(secret: str) -> str:
    """The hash of a secret. A plain one is sufficient, as secrets are 32 random bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
