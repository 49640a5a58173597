"""The tunnel of a devbox, which gives access to its ports to clients that have its key and, if required, its token."""

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
    """Empty in the stored form."""
    auth_mode: AuthMode
    create_time_ms: int
    auth_token: str | None = field(default=None, repr=False)
    http_keep_alive: bool = True
    wake_on_http: bool = False
    sealed: str = field(default="", repr=False)
    """Its key and token, encrypted for the store."""

    def stored(self) -> Tunnel:
        """The tunnel without its key and token in plain text, to be stored."""
        return replace(self, tunnel_key="", auth_token=None)

    async def sealed_by(self, vault: Vault) -> Tunnel:
        """The tunnel with its key and token encrypted, too."""
        return replace(self, sealed=await vault.seal(json.dumps([self.tunnel_key, self.auth_token])))

    async def unsealed_by(self, vault: Vault, what: str) -> Tunnel:
        """The tunnel with its key and token decrypted; raises `EngineError` about `what` for another service's key."""
        key, token = json.loads(await vault.unseal(self.sealed, what))
        return replace(self, tunnel_key=key, auth_token=token)

    def admits(self, token: str | None) -> bool:
        """True if a request with this token is authorized."""
        return self.auth_token is None or is_same(token, self.auth_token)


def is_same(given: str | None, token: str) -> bool:
    """Compare tokens in constant time."""
    return given is not None and hmac.compare_digest(given.encode(), token.encode())
