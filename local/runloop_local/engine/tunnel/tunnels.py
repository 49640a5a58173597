"""The open tunnels of the service, and the devboxes that their keys belong to."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..devbox import lifecycle
from ..errors import InvalidError
from ..ids import now_ms
from ..storage.idempotency import NO_REQUEST
from .tunnel import Tunnel, is_same

if TYPE_CHECKING:
    from ..devbox.devbox import Devbox
    from ..devbox.devboxes import Devboxes
    from ..storage.idempotency import Attempt
    from ..storage.vault import Vault
    from .tunnel import AuthMode

_PTY_TUNNELS = 1000


@dataclass(frozen=True, slots=True)
class PtyTunnel:
    """A tunnel to the terminals of one devbox; it is not stored, so it ends with the service."""

    tunnel_key: str
    devbox_id: str
    auth_token: str = field(repr=False)

    def admits(self, token: str | None) -> bool:
        """True if a request with this token is authorized."""
        return is_same(token, self.auth_token)


def new_tunnel(auth_mode: AuthMode = "open", *, http_keep_alive: bool = True, wake_on_http: bool = False) -> Tunnel:
    """Create a tunnel with a new key, and with a token if it is authenticated."""
    token = secrets.token_urlsafe(32) if auth_mode == "authenticated" else None
    return Tunnel(_new_key(), auth_mode, now_ms(), token, http_keep_alive, wake_on_http)


class Tunnels:
    """All open tunnels of the service."""

    def __init__(self, devboxes: Devboxes, vault: Vault) -> None:
        self._devboxes = devboxes
        self._vault = vault
        self._pty: OrderedDict[str, PtyTunnel] = OrderedDict()

    def find(self, key: str) -> tuple[Devbox, Tunnel] | None:
        """The devbox and tunnel of this key, unless the devbox has ended."""
        for devbox in self._devboxes.live():
            tunnel = devbox.record.tunnel
            if tunnel is not None and is_same(key, tunnel.tunnel_key) and devbox.status not in lifecycle.TERMINAL:
                return devbox, tunnel
        return None

    async def open(self, devbox: Devbox, tunnel: Tunnel, attempt: Attempt = NO_REQUEST) -> None:
        """Let requests into a running devbox by this tunnel."""
        sealed = await tunnel.sealed_by(self._vault)
        lifecycle.require(devbox.record, "running", "open its tunnel")
        if devbox.record.tunnel is not None and devbox.record.tunnel.tunnel_key:
            raise InvalidError(f"Devbox {devbox.record.id} has a tunnel already: remove it first.")
        await devbox.state.change(*attempt.note(_digest(tunnel.tunnel_key)), tunnel=sealed)

    def noted(self, devbox: Devbox, digest: str) -> Tunnel:
        """The tunnel of a devbox that a request has noted; `InvalidError` once that has been removed."""
        tunnel = devbox.record.tunnel
        if tunnel is None or _digest(tunnel.tunnel_key) != digest:
            raise InvalidError(f"The tunnel of devbox {devbox.record.id} that was asked for has been removed since.")
        return tunnel

    async def close(self, devbox: Devbox) -> None:
        """Let no request into a devbox any more. Once more is no error."""
        await devbox.state.change(tunnel=None)

    def open_pty(self, devbox: Devbox) -> PtyTunnel:
        """Open a tunnel to the terminals of a running devbox; beyond the limit, the oldest is closed."""
        lifecycle.require(devbox.record, "running", "open a terminal")
        tunnel = PtyTunnel(_new_key(), devbox.record.id, secrets.token_urlsafe(32))
        self._pty[tunnel.tunnel_key] = tunnel
        if len(self._pty) > _PTY_TUNNELS:
            self._pty.popitem(last=False)
        return tunnel

    def find_pty(self, key: str) -> PtyTunnel | None:
        """The PTY tunnel of this key, or None."""
        return self._pty.get(key)


def wakes(devbox: Devbox, tunnel: Tunnel) -> bool:
    """True if a request resumes the suspended devbox; the devbox's own setting overrides the tunnel's."""
    rule = (devbox.record.lifecycle_rules.get("resume_triggers") or {}).get("http")
    return tunnel.wake_on_http if rule is None else bool(rule)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _new_key() -> str:
    return secrets.token_hex(16)  # part of a host name, so lower case only
