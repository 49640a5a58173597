"""Deletes all resources of a service through its API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from runloop_sdk import NotFoundError

if TYPE_CHECKING:
    from runloop_sdk import AsyncRunloopSDK

_AT_ONCE = 8
_ENDED = ("shutdown", "failure")


async def clear(sdk: AsyncRunloopSDK, search: str | None = None, keep: Collection[str] = ()) -> None:
    """Shut down all devboxes and delete all resources, or those with matching names, except those in `keep`."""
    api = sdk.api

    async def each(ids: list[str], act: Callable[[str], Awaitable[object]]) -> None:
        await _each([one for one in ids if one not in keep], act)

    boxes = [view.id async for view in api.devboxes.list(limit=1000, search=search) if view.status not in _ENDED]
    await each(boxes, lambda one: api.devboxes.shutdown(one, force=True))
    snapshots = [view.id async for view in api.devboxes.disk_snapshots.list(limit=1000, search=search)]
    await each(snapshots, api.devboxes.disk_snapshots.delete)
    blueprints = [view.id async for view in api.blueprints.list(limit=1000, search=search)]
    await each(blueprints, api.blueprints.delete)
    objects = [view.id async for view in api.objects.list(limit=1000, search=search)]
    await each(objects, api.objects.delete)
    axons = [view.id async for view in api.axons.list(limit=1000, search=search)]
    await each(axons, api.axons.delete)
    for configs in (api.network_policies, api.gateway_configs, api.mcp_configs):
        await each([view.id async for view in configs.list(limit=1000, search=search)], configs.delete)
    names = [view.name async for view in api.secrets.list(limit=1000)]
    await each([name for name in names if search is None or secret_name(search) == name], api.secrets.delete)


def secret_name(name: str) -> str:
    """The name of the secret of a scenario with this name."""
    return name.upper().replace("-", "_")


async def _each(ids: list[str], act: Callable[[str], Awaitable[object]]) -> None:
    """Call `act` for each id in parallel; one that does not exist is skipped."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(resource: str) -> None:
        async with turn:
            try:
                await act(resource)
            except NotFoundError:
                return

    await asyncio.gather(*(one(resource) for resource in ids))
