"""Notices that the embedded service has ended: one check a second, however many commands run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ..connection import Connection

_INTERVAL = 1.0  # seconds


class ServiceWatch:
    """Watches each service for as long as somebody is interested in it."""

    def __init__(self) -> None:
        self._watched: dict[Connection, tuple[asyncio.Task[None], int]] = {}

    @contextmanager
    def of(self, connection: Connection) -> Iterator[asyncio.Task[None]]:
        """A task that is done once nothing listens at the service's address any more."""
        task, watchers = self._watched.get(connection) or (asyncio.create_task(_until_it_refuses(connection)), 0)
        self._watched[connection] = task, watchers + 1
        try:
            yield task
        finally:
            self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        task, watchers = self._watched.pop(connection)
        if watchers > 1:
            self._watched[connection] = task, watchers - 1
        else:
            task.cancel()


async def refuses(connection: Connection) -> bool:
    """True if nothing listens at a service's address; False also if that cannot be told."""
    where = urlsplit(connection.base_url)
    try:
        # A bare connection: it needs no key, costs the service nothing, and a busy service accepts it as well.
        async with asyncio.timeout(_INTERVAL):
            _, writer = await asyncio.open_connection(where.hostname, where.port)
    except ConnectionRefusedError:
        return True
    except OSError:  # no descriptor is left, for example: that says nothing about the service
        return False
    writer.close()
    return False


async def _until_it_refuses(connection: Connection) -> None:
    while True:
        await asyncio.sleep(_INTERVAL)
        if await refuses(connection):
            return
