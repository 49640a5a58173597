"""Tunnels: ports of a devbox that are served at a URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import RemoteError
from .lifecycle import handle_of
from .observer import UNOBSERVED, Observer

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox

    from ..resources.devboxes import DevboxInfo
    from ..session import Session


@dataclass(frozen=True, slots=True)
class OpenTunnel:
    """A port of a devbox that is served at `url`. An authenticated tunnel wants `token` in a header."""

    url: str
    port: int
    devbox: DevboxInfo
    token: str | None = field(default=None, repr=False)


async def open_tunnel(
    session: Session, devbox: DevboxInfo, port: int, *, private: bool = False, observer: Observer = UNOBSERVED
) -> OpenTunnel:
    """Return the devbox's tunnel to a port, opened if need be; with `private` each request needs a token.

    Raises `RemoteError` where a tunnel without a token is open already and `private` is asked for.
    """
    return await observer.confirmed(_open(await handle_of(session, devbox), devbox, port, private=private))


async def _open(handle: AsyncDevbox, devbox: DevboxInfo, port: int, *, private: bool) -> OpenTunnel:
    tunnel = await handle.get_tunnel()
    if tunnel is None:
        tunnel = await handle.net.enable_tunnel(auth_mode="authenticated" if private else "open")
    elif private and tunnel.auth_mode != "authenticated":
        raise RemoteError(
            f"{devbox.label} has an open tunnel already; close it first: %devbox tunnel --close --on {devbox.reference}"
        )
    url = await handle.get_tunnel_url(port)
    assert url is not None
    return OpenTunnel(url, port, devbox, tunnel.auth_token)


async def close_tunnel(session: Session, devbox: DevboxInfo) -> None:
    """Close the devbox's tunnel."""
    await (await handle_of(session, devbox)).net.remove_tunnel()
