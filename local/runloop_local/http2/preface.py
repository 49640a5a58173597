"""Chooses HTTP/1.1 or HTTP/2 for a connection by its first bytes."""

from __future__ import annotations

import asyncio
from importlib import import_module

from ..direct import DirectHTTPProtocol

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class AutoHTTPProtocol(DirectHTTPProtocol):
    """HTTP/1.1, or HTTP/2 for a client that begins with its preface."""

    _undecided: bytes | None = b""
    """Data received while the version is undecided; None afterwards."""

    def data_received(self, data: bytes) -> None:
        """Pass data to the protocol of the version, once that is decided."""
        if self._undecided is None:
            super().data_received(data)
            return
        first = self._undecided + data
        if len(first) < len(PREFACE) and PREFACE.startswith(first):
            self._undecided = first
            return
        self._undecided = None
        if first.startswith(PREFACE):
            self._become_http2(first[len(PREFACE) :])
        else:
            super().data_received(first)

    def _become_http2(self, more: bytes) -> None:
        self.transport.pause_reading()
        task = self.loop.create_task(self._switch_to_http2(more))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _switch_to_http2(self, more: bytes) -> None:
        try:
            module = await asyncio.to_thread(import_module, f"{__package__}.connection")
        except (RuntimeError, OSError):  # out of threads or descriptors; the client may retry
            self.transport.close()
            return
        if self.transport.is_closing():
            return
        self.connections.discard(self)
        protocol = module.Http2(self.app, self.server_state, self.timeout_keep_alive)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(more)
        self.transport.resume_reading()
