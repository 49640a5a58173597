"""The SDK for a notebook's own code: the devboxes that it creates belong to the kernel, like those of the magics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from runloop_sdk.api.devboxes import DevboxesAPI

from ..client import client
from ..resources.devboxes import describe

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView
    from runloop_sdk.params.devboxes import DevboxCreateParams, DevboxShutdownParams

    from ..connection import Connection
    from ..session import Session


def kernel_sdk(session: Session, connection: Connection, *, keep: bool | None) -> AsyncRunloopSDK:
    """An SDK whose devboxes end with the kernel unless `keep` is true; None stands for the user's setting."""
    sdk = client(connection)
    sdk.api.devboxes = _KernelDevboxesAPI(sdk.api.devboxes, session, connection, keep)
    return sdk


class _KernelDevboxesAPI(DevboxesAPI):
    """The API of devboxes, in which a new devbox becomes the kernel's."""

    def __init__(self, plain: DevboxesAPI, session: Session, connection: Connection, keep: bool | None) -> None:
        super().__init__(plain._transport)
        self._session, self._connection, self._keep = session, connection, keep

    async def create(self, **params: Unpack[DevboxCreateParams]) -> DevboxView:
        """Create a devbox of this kernel, without waiting until it runs (`POST /v1/devboxes`)."""
        return await self._session.own(super().create, params, self._connection, keep=self._keep)

    async def create_and_await_running(self, **params: Unpack[DevboxCreateParams]) -> DevboxView:
        """Create a devbox of this kernel and wait until it runs (`POST /v1/devboxes/create_and_await_running`)."""
        return await self._session.own(super().create_and_await_running, params, self._connection, keep=self._keep)

    async def shutdown(self, id: str, **params: Unpack[DevboxShutdownParams]) -> DevboxView:  # noqa: A002 - the API's name
        """Shut a devbox down for good (`POST /v1/devboxes/{id}/shutdown`)."""
        view = await super().shutdown(id, **params)
        self._session.ended(describe(view))
        return view
