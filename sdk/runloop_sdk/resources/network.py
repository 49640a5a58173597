"""`devbox.net`: access to a devbox from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from ..params._options import LongRequestOptions
from ..params.devboxes import DevboxEnableTunnelParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.access import DevboxCreateSSHKeyResponse
    from ..models.devboxes import TunnelView


@check_arguments
class AsyncNetworkInterface:
    """SSH and tunnels of one devbox."""

    def __init__(self, api: AsyncRunloopAPI, devbox_id: str) -> None:
        self._api = api
        self._devbox_id = devbox_id

    async def create_ssh_key(self, **options: Unpack[LongRequestOptions]) -> DevboxCreateSSHKeyResponse:
        """A new private key (PEM, hidden in the repr), the user and the host (`POST .../create_ssh_key`)."""
        return await self._api.devboxes.create_ssh_key(self._devbox_id, **options)

    async def enable_tunnel(self, **params: Unpack[DevboxEnableTunnelParams]) -> TunnelView:
        """Open the devbox's tunnel: one for all its ports (`POST .../enable_tunnel`)."""
        return await self._api.devboxes.enable_tunnel(self._devbox_id, **params)

    async def remove_tunnel(self, **options: Unpack[LongRequestOptions]) -> object:
        """Close the devbox's tunnel (`POST .../remove_tunnel`)."""
        return await self._api.devboxes.remove_tunnel(self._devbox_id, **options)
