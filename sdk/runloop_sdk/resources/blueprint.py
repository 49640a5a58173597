"""Blueprints: images that devboxes start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .._arguments import check_arguments
from .._errors import UnexpectedStateError
from .._pagination import ResourceListing
from .._polling import PollingConfig, Wait
from ..params._options import LongRequestOptions, RequestOptions
from ..params._waiting import SDKBlueprintCreateParams, SDKDevboxCreateFromImageParams
from ..params.blueprints import BlueprintCreateParams, BlueprintListParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.blueprints import BlueprintBuildLogsListView, BlueprintView
    from .devbox import AsyncDevbox

BUILT = "build_complete"
ENDED = (BUILT, "failed")


@check_arguments
class AsyncBlueprint:
    """One blueprint."""

    def __init__(self, api: AsyncRunloopAPI, blueprint_id: str) -> None:
        self._api = api
        self._id = blueprint_id

    def __repr__(self) -> str:
        return f"<AsyncBlueprint {self._id}>"

    @property
    def id(self) -> str:
        """The blueprint's id."""
        return self._id

    async def get_info(self, **options: Unpack[RequestOptions]) -> BlueprintView:
        """The blueprint as it is now (`GET /v1/blueprints/{id}`)."""
        return await self._api.blueprints.retrieve(self._id, **options)

    async def logs(self, **options: Unpack[RequestOptions]) -> BlueprintBuildLogsListView:
        """The log of its build so far (`GET /v1/blueprints/{id}/logs`)."""
        return await self._api.blueprints.logs(self._id, **options)

    async def delete(self, **options: Unpack[LongRequestOptions]) -> object:
        """Delete it; refused while snapshots depend on it (`POST /v1/blueprints/{id}/delete`)."""
        return await self._api.blueprints.delete(self._id, **options)

    async def create_devbox(self, **params: Unpack[SDKDevboxCreateFromImageParams]) -> AsyncDevbox:
        """A new devbox that starts from it."""
        from .devbox import AsyncDevboxOps

        return await AsyncDevboxOps(self._api).create_from_blueprint_id(self._id, **params)

    async def await_built(self, *, polling_config: PollingConfig | None = None) -> BlueprintView:
        """The blueprint, once it is built; raises `UnexpectedStateError` if the build fails."""
        wait: Wait[BlueprintView] = Wait(f"blueprint {self._id} to be built", polling_config)
        view = await wait.polled(self.get_info, lambda seen: seen.status in ENDED)
        if view.status != BUILT:
            reason = f" ({view.failure_reason})" if view.failure_reason else ""
            raise UnexpectedStateError(f"The build of blueprint {view.name} failed{reason}", view=view)
        return view


@check_arguments
class AsyncBlueprintOps:
    """`sdk.blueprint`: build and find blueprints."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[SDKBlueprintCreateParams]) -> AsyncBlueprint:
        """Build a blueprint and wait for it (`POST /v1/blueprints`); raises `UnexpectedStateError` if that fails."""
        polling = params.pop("polling_config", None)
        blueprint = await self._start(params)
        await blueprint.await_built(polling_config=polling)
        return blueprint

    async def _start(self, params: BlueprintCreateParams) -> AsyncBlueprint:
        return AsyncBlueprint(self._api, (await self._api.blueprints.create(**params)).id)

    def from_id(self, blueprint_id: str) -> AsyncBlueprint:
        """The blueprint with this id; sends no request."""
        return AsyncBlueprint(self._api, blueprint_id)

    def list(self, **params: Unpack[BlueprintListParams]) -> ResourceListing[BlueprintView, AsyncBlueprint]:
        """Blueprints, newest first: `await` gives a list of one page, or `async for` (`GET /v1/blueprints`)."""
        return ResourceListing(self._api.blueprints.list(**params), lambda view: AsyncBlueprint(self._api, view.id))
