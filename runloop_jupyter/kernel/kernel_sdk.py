"""The SDK for a notebook's own code: the devboxes that it creates belong to the kernel, like those of the magics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, Unpack

from runloop_sdk.api.devboxes import DevboxesAPI
from runloop_sdk.params.devboxes import DevboxCreateParams, DevboxShutdownParams  # arguments are checked by them

from ..client import sdk_for
from ..resources.devboxes import describe
from ..text.json_values import RequestParams

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK
    from runloop_sdk.models.devboxes import DevboxView

    from ..connection import Connection
    from ..resources.devboxes import DevboxInfo


class Own(Protocol):
    """Creates a devbox that belongs to the kernel."""

    def __call__(
        self,
        make: Callable[..., Awaitable[DevboxView]],
        params: RequestParams,
        on: Connection,
        *,
        keep: bool | None = None,
    ) -> Awaitable[DevboxView]:
        """Return the devbox that `make` creates with `params` on a service."""


def kernel_sdk(
    connection: Connection, *, own: Own, ended: Callable[[DevboxInfo], None], keep: bool | None
) -> AsyncRunloopSDK:
    """Return an SDK whose devboxes end with the kernel unless `keep` is true; None stands for the user's setting.

    `ended` is called with each devbox that is shut down.
    """
    sdk = sdk_for(connection)
    sdk.api.devboxes = _KernelDevboxesAPI(sdk.api.devboxes, connection, own, ended, keep)
    return sdk


class _KernelDevboxesAPI(DevboxesAPI):
    """The API of devboxes, in which a new devbox becomes the kernel's."""

    def __init__(
        self,
        plain: DevboxesAPI,
        connection: Connection,
        own: Own,
        ended: Callable[[DevboxInfo], None],
        keep: bool | None,
    ) -> None:
        super().__init__(plain._transport)
        self._connection, self._own, self._ended, self._keep = connection, own, ended, keep

    async def create(self, **params: Unpack[DevboxCreateParams]) -> DevboxView:
        """Create a devbox of this kernel, without waiting until it runs (`POST /v1/devboxes`)."""
        return await self._own(super().create, params, self._connection, keep=self._keep)

    async def create_and_await_running(self, **params: Unpack[DevboxCreateParams]) -> DevboxView:
        """Create a devbox of this kernel and wait until it runs (`POST /v1/devboxes/create_and_await_running`)."""
        return await self._own(super().create_and_await_running, params, self._connection, keep=self._keep)

    async def shutdown(self, id: str, **params: Unpack[DevboxShutdownParams]) -> DevboxView:  # noqa: A002 - the API's name
        """End a devbox for good (`POST /v1/devboxes/{id}/shutdown`)."""
        view = await super().shutdown(id, **params)
        self._ended(describe(view))
        return view
