"""Notices that the embedded service has ended: one look a second, however many commands run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .connection import Connection

_INTERVAL = 1.0  # seconds


class Pulse:
    """Watches services for as long as somebody wants to know."""

    def __init__(self) -> None:
        self._watched: dict[Connection, tuple[asyncio.Task[None], int]] = {}

    @contextmanager
    def of(self, connection: Connection) -> Iterator[asyncio.Task[None]]:
        """A task that is done once nothing listens any more where the service was."""
        task, watchers = self._watched.get(connection) or (asyncio.create_task(_refuses(connection)), 0)
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


async def _refuses(connection: Connection) -> None:
    where = urlsplit(connection.base_url)
    while True:
        await asyncio.sleep(_INTERVAL)
        try:
            _, writer = await asyncio.open_connection(where.hostname, where.port)
        except ConnectionRefusedError:
            return
        except OSError:  # no descriptor left, say: that tells nothing about the service
            continue
        writer.close()
