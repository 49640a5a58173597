"""The routes of the REST API, one module per resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    accounts,
    axons,
    blueprints,
    devboxes,
    evictions,
    executions,
    files,
    images,
    kernels,
    keys,
    logs,
    network_policies,
    objects,
    output,
    pty,
    secrets,
    snapshots,
    status,
    storage,
    tunnels,
    unserved,
    upstreams,
)
from .idempotency import idempotent

if TYPE_CHECKING:
    from starlette.routing import Route


def all_routes() -> list[Route]:
    """Every route, literal paths before those with an id, made idempotent."""
    served = (
        executions,  # first, as routes are tried in order, and commands are what is asked for most
        status,
        images,
        kernels,
        accounts,
        snapshots,
        blueprints,
        evictions,
        devboxes,
        output,
        files,
        logs,
        tunnels,
        pty,
        objects,
        storage,
        secrets,
        network_policies,
        upstreams,
        axons,
        keys,
    )
    routes = [idempotent(route) for concept in (*served, unserved) for route in concept.ROUTES]
    return [*unserved.LITERAL_ROUTES, *routes, *unserved.REMOVED_ROUTES]
