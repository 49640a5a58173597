"""An event loop like the one of Windows: asyncio's own transports over a proactor, and neither readers nor writers."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
from asyncio.proactor_events import BaseProactorEventLoop
from collections.abc import Callable
from typing import Any

Operation = Callable[[], Any]


class Proactor:
    """Begins operations on sockets and completes them once they no longer block, as the one of Windows does."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._pending: dict[tuple[int, int], list[tuple[asyncio.Future[Any], Operation]]] = {}

    def set_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the loop whose futures the operations are."""
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[object]:
        """Complete what can be; there are no events for the loop to process."""
        for key, mask in self._selector.select(timeout):
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                if mask & event:
                    self._complete(key.fd, event)
        return []

    def recv(self, sock: socket.socket, size: int, flags: int = 0) -> asyncio.Future[bytes]:
        """Receive bytes."""
        return self._begin(sock, selectors.EVENT_READ, lambda: sock.recv(size, flags))

    def recv_into(self, sock: socket.socket, buffer: bytearray, flags: int = 0) -> asyncio.Future[int]:
        """Receive bytes into a buffer."""
        return self._begin(sock, selectors.EVENT_READ, lambda: sock.recv_into(buffer, 0, flags))

    def send(self, sock: socket.socket, data: bytes, flags: int = 0) -> asyncio.Future[int]:
        """Send bytes."""
        view = memoryview(bytes(data))

        def send() -> int:
            nonlocal view
            while view:  # the one of Windows completes a send as a whole
                view = view[sock.send(view, flags) :]
            return len(data)

        return self._begin(sock, selectors.EVENT_WRITE, send)

    def connect(self, sock: socket.socket, address: tuple[str, int]) -> asyncio.Future[None]:
        """Connect."""

        def finish() -> None:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))

        error = sock.connect_ex(address)
        if error not in (0, 115):  # EINPROGRESS
            raise OSError(error, os.strerror(error))
        return self._begin(sock, selectors.EVENT_WRITE, finish)

    def accept(self, listener: socket.socket) -> asyncio.Future[tuple[socket.socket, object]]:
        """Accept a connection."""
        return self._begin(listener, selectors.EVENT_READ, listener.accept)

    def _stop_serving(self, listener: socket.socket) -> None:
        listener.close()

    def close(self) -> None:
        """Let go of all sockets."""
        self._selector.close()

    def _begin(self, sock: socket.socket, event: int, operation: Operation) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._pending.setdefault((sock.fileno(), event), []).append((future, operation))
        future.add_done_callback(lambda _: self._watch(sock.fileno()) if sock.fileno() >= 0 else None)
        self._watch(sock.fileno())
        return future

    def _complete(self, descriptor: int, event: int) -> None:
        pending = self._pending.get((descriptor, event), [])
        while pending:
            future, operation = pending[0]
            try:
                result = None if future.done() else operation()
            except BlockingIOError:
                break
            except OSError as error:
                future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)
            pending.pop(0)
        self._watch(descriptor)

    def _watch(self, descriptor: int) -> None:
        """Watch a socket for what operations wait for."""
        wanted = 0
        for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
            pending = self._pending.get((descriptor, event), [])
            pending[:] = [each for each in pending if not each[0].done()]
            wanted |= event if pending else 0
        known = self._selector.get_map().get(descriptor)
        if known is not None:
            self._selector.unregister(descriptor)
        if wanted:
            self._selector.register(descriptor, wanted)


class ProactorLoop(BaseProactorEventLoop):
    """The loop. What asks it for readers or for signals gets NotImplementedError, as on Windows."""

    def __init__(self) -> None:
        super().__init__(Proactor())  # type: ignore[call-arg, arg-type, unused-ignore]

    def run_forever(self) -> None:
        """Run until stopped; what other threads hand in is read meanwhile."""
        base: Any = super()
        self.call_soon(base._loop_self_reading)
        try:
            base.run_forever()
        finally:
            own: Any = self
            if own._self_reading_future is not None:
                own._self_reading_future.cancel()
                own._self_reading_future = None


class ProactorPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes such loops."""

    def new_event_loop(self) -> ProactorLoop:
        """Make a loop."""
        return ProactorLoop()
