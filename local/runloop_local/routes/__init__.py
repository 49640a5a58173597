"""The REST API: HTTP in, HTTP out; one file per concept."""

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

if TYPE_CHECKING:
    from starlette.routing import Route


def all_routes() -> list[Route]:
    """Every route, literal paths before those with an id."""
    served = (
        status,
        accounts,
        snapshots,
        blueprints,
        evictions,
        devboxes,
        executions,
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
    return [*(route for concept in served for route in concept.ROUTES), *unserved.ROUTES]
