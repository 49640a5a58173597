"""Further API keys, besides the one that the service was started with. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from .errors import ForbiddenError
from .ids import new_id, now_ms
from .store import Document

if TYPE_CHECKING:
    from .store import Store

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
class Key:
    """Who asks, and what they may."""

    id: str
    name: str | None = None
    expires_at_ms: int | None = None
    scopes: Mapping[Resource, Level] | None = None
    """Resources, and how far each is open; None for a key that may do everything."""

    def allows(self, resource: Resource, level: Level) -> bool:
        """Whether it may do that much with these."""
        if self.scopes is None:
            return True
        return _ORDER.index(self.scopes.get(resource, "ACCESS_LEVEL_NONE")) >= _ORDER.index(level)


OWNER = Key("key_owner", "the key that the service was started with")


class Keys:
    """All further keys, by the hashes of their secrets."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Key] = {}

    async def restore(self) -> None:
        """Know the keys of earlier services."""
        for body in await self._store.bodies("key"):
            digest = body.pop("digest")
            self._known[digest] = Key(**body)

    def find(self, secret: str) -> Key | None:
        """The key with this secret, if there is one and it has not expired."""
        key = self._known.get(_digest(secret))
        expired = key is not None and key.expires_at_ms is not None and key.expires_at_ms <= now_ms()
        return None if expired else key

    async def create(
        self, by: Key, name: str | None, expires_at_ms: int | None, scopes: Mapping[Resource, Level] | None
    ) -> tuple[Key, str]:
        """A new key and its secret, which is not kept. `ForbiddenError` for one that may more than its maker."""
        wanted = {} if scopes is None else scopes
        if by.scopes is not None and (scopes is None or not all(by.allows(*scope) for scope in wanted.items())):
            raise ForbiddenError("A restricted key can make no key that may do more than itself.")
        kind = "ak" if scopes is None else "rk"
        key, secret = Key(new_id("key"), name, expires_at_ms, scopes), f"{kind}_{secrets.token_urlsafe(32)}"
        body: dict[str, Any] = {**asdict(key), "digest": _digest(secret)}
        await self._store.put(Document("key", key.id, body, name=name or ""))
        self._known[_digest(secret)] = key
        return key, secret


def _digest(secret: str) -> str:
    """A plain hash does: what it hides is 32 random bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
