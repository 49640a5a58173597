"""The user's own embedded service: found, started, and how to connect to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connection import Connection
from .errors import RemoteError

if TYPE_CHECKING:
    from runloop_local.service_folder import Endpoint


async def start(limit: float | None) -> Connection:
    """Start the service, if it does not run, within `limit` seconds. Raises `RemoteError` when it cannot be started."""
    from runloop_local import service

    try:
        endpoint = await service.ensure_running(limit)
    except service.ServiceError as error:
        raise RemoteError(str(error)) from error
    return _connection(endpoint)


def starting() -> str:
    """What a cell says while it waits for the service to start."""
    from runloop_local import service

    if service.may_use_engine():
        return "starting the embedded service in a container, whose image is built the first time"
    return "starting the embedded service"


def running() -> Connection | None:
    """Return the service if it runs. Raises `RemoteError` when its state cannot be read."""
    from runloop_local import service

    try:
        endpoint = service.find()
    except service.ServiceError as error:
        raise RemoteError(str(error)) from error
    return None if endpoint is None else _connection(endpoint)


def _connection(endpoint: Endpoint) -> Connection:
    from runloop_local import service_folder

    return Connection(
        endpoint.base_url,
        endpoint.api_key,
        embedded=True,
        isolation=endpoint.isolation,
        notes=tuple(endpoint.notes),
        requested=endpoint.requested,
        image=endpoint.image,
        engine=endpoint.engine,
        home=str(service_folder.home()),
    )
