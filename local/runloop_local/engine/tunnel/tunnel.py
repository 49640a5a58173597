"""The tunnel of a devbox: a way from outside to its ports. Whoever has its key, and token, comes in."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..storage.records import Record

if TYPE_CHECKING:
    from ..storage.vault import Vault

AuthMode = Literal["open", "authenticated"]


@dataclass(frozen=True, slots=True)
class Tunnel(Record):
    """The tunnel of one devbox, for all its ports."""

    tunnel_key: str = field(repr=False)
    """Empty in what is stored."""
    auth_mode: AuthMode
    create_time_ms: int
    auth_token: str | None = field(default=None, repr=False)
    http_keep_alive: bool = True
    wake_on_http: bool = False
    sealed: str = field(default="", repr=False)
    """Its key and token, encrypted: so they are stored."""

    def stored(self) -> Tunnel:
        """What the store keeps of it."""
        return replace(self, tunnel_key="", auth_token=None)

    async def sealed_by(self, vault: Vault) -> Tunnel:
        """The same tunnel, which can be stored."""
        return replace(self, sealed=await vault.seal(json.dumps([self.tunnel_key, self.auth_token])))

    async def unsealed_by(self, vault: Vault, what: str) -> Tunnel:
        """The tunnel as it was before it was stored; `EngineError` about `what` where another key has sealed it."""
        key, token = json.loads(await vault.unseal(self.sealed, what))
        return replace(self, tunnel_key=key, auth_token=token)

    def admits(self, token: str | None) -> bool:
        """Whether a request that carries `token` may come in."""
        return self.auth_token is None or is_same(token, self.auth_token)


def is_same(given: str | None, token: str) -> bool:
    """Whether a token is the right one, in a time that tells nothing of it."""
    return given is not None and hmac.compare_digest(given.encode(), token.encode())
