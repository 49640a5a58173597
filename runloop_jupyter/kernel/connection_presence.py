"""The presence of this kernel on a service in a container, which monitors a connection that the kernel holds.

The operating system closes it however the process ends. A thread waits for its end meanwhile: if the service was
started again, or the engine has cut the connection, the kernel connects again, wherever the service is by then.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakSet

from .. import embedded
from ..client import sdk_for
from ..errors import RemoteError
from .kernel_registry import notebook
from .monitored_presence import MonitoredPresence

if TYPE_CHECKING:
    from ..connection import Connection

_SILENCE = 45.0  # seconds: three heartbeats of the service
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 4.0  # seconds between two attempts to connect, of the ten that the service waits
_FIRST = 10.0  # seconds that the first connection may take
_presences: WeakSet[ConnectionPresence] = WeakSet()


async def connection_presence(on: Connection) -> ConnectionPresence | None:
    """Make this kernel known to a service in a container; None if the service does not monitor connections."""
    from runloop_sdk import APIResponseError, APIStatusError

    async with sdk_for(on) as sdk:
        try:
            answer = await sdk.api.post_json("/local/kernels", {"name": notebook()})
            presence = ConnectionPresence(on, str(answer["id"]))
        except (APIStatusError, APIResponseError, LookupError, TypeError):
            return None
    return presence if await asyncio.to_thread(presence.start) else None


class ConnectionPresence(MonitoredPresence):
    """The presence of this kernel on a service that monitors it by a connection."""

    def __init__(self, connection: Connection, kernel_id: str) -> None:
        super().__init__(connection, kernel_id)
        self._socket: socket.socket | None = None
        self._is_over = False
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="runloop_jupyter presence", daemon=True)

    def start(self) -> bool:
        """Begin to hold a connection; False if the service takes none."""
        _presences.add(self)
        self._thread.start()
        self._connected.wait(_FIRST)
        return self._thread.is_alive()

    def release(self) -> None:
        """End the connection, and connect no more."""
        self._is_over = True
        held = self._socket
        if held is not None:
            with suppress(OSError):  # it has just ended
                held.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """In a forked child: close its copy, which would keep the connection open when the kernel has ended."""
        held, self._socket = self._socket, None
        if held is not None:
            os.close(held.detach())

    # What follows runs in the thread.

    def _hold(self) -> None:
        pause = _FIRST_PAUSE
        while not self._is_over:
            with suppress(OSError, http.client.HTTPException):
                if not self._hold_one():
                    break
                pause = _FIRST_PAUSE
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            with suppress(RemoteError):
                self._connection = embedded.running() or self._connection
        self._connected.set()

    def _hold_one(self) -> bool:
        """Hold one connection until it ends; False if the service does not know the kernel."""
        where = urlsplit(self._connection.base_url)
        line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_SILENCE)
        try:
            headers = {"Authorization": f"Bearer {self._connection.api_key}"}
            line.request("GET", f"/local/kernels/{self._kernel_id}/connection", headers=headers)
            self._socket = line.sock
            response = line.getresponse()
            if response.status != http.client.OK:
                return False
            self._connected.set()
            while response.read1(1 << 10):
                pass
        finally:
            self._socket = None
            line.close()
        return True


def _forget_all() -> None:
    for presence in _presences:
        presence.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_all)
