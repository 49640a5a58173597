"""All that answers requests. Importing this imports every module of a resource, and what only these need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proxy.http import forward as forward
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
from .pty import build_terminals as build_terminals

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
