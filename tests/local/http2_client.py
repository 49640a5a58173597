"""A client of HTTP/2 that can also do what no client should: h2 on a socket, with checks of what is sent left out."""

import socket
import struct
from collections.abc import Iterable
from typing import Any, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded

from runloop_local.http2.frames import GOAWAY, FrameSplitter
from tests.waiting import PATIENCE


class Http2Client:
    """One connection. Streams have the numbers 1, 3, 5 ..."""

    def __init__(self, base_url: str, api_key: str = "") -> None:
        self.api_key = api_key
        self.port = int(base_url.rpartition(":")[2])
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.h2.initiate_connection()
        self.events: list[Event] = []
        self.goaways: list[tuple[int, int]] = []
        self.reads = True
        """Whether it makes room for more of bodies."""
        self._frames = FrameSplitter(1 << 24)
        self.closed = False
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @property
    def authority(self) -> bytes:
        return b"127.0.0.1:%d" % self.port

    def head(
        self, method: bytes = b"GET", path: bytes = b"/v1/accounts/me", **more: bytes
    ) -> list[tuple[bytes, bytes]]:
        """The head of a request that is let in."""
        return [
            (b":method", method),
            (b":scheme", b"http"),
            (b":path", path),
            (b":authority", self.authority),
            *([(b"authorization", b"Bearer " + self.api_key.encode())] if self.api_key else []),
            *((name.replace("_", "-").encode(), value) for name, value in more.items()),
        ]

    def ask(self, fields: Iterable[tuple[bytes, bytes]], body: bytes | None = None) -> int:
        """Send a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, list(fields), end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def until(self, kind: type[Event], stream: int | None = None) -> Any:
        """The next event of a kind. The end of the connection is an event, too."""
        while True:
            for place, event in enumerate(self.events):
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    return self.events.pop(place)
            assert not self.closed, f"the connection has ended before {kind.__name__}: {self.events}"
            self.read()

    def read(self) -> None:
        """Take what comes next."""
        data = self.sock.recv(1 << 20)
        self.closed = not data
        for frame in self._frames.split(data):
            if frame.kind == GOAWAY:  # h2 would read nothing after it
                self.goaways.append(struct.unpack(">II", frame.octets[9:17]))
            else:
                self.events += self.h2.receive_data(frame.octets)
        for event in self.events if self.reads else ():
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                event.flow_controlled_length = 0
        if not self.closed:
            self.flush()

    def goaway(self) -> tuple[int, str]:
        """The last stream that the service answers, and why no other."""
        while not self.goaways:
            assert not self.closed, "the connection has ended without a word"
            self.read()
        last, code = self.goaways.pop(0)
        return last, ErrorCodes(code).name

    def has_ended(self) -> bool:
        """Whether the service closes the connection; waits until it does, or for long."""
        try:
            while not self.closed:
                self.read()
        except ConnectionError:
            self.closed = True
        return self.closed

    def answer(self, stream: int) -> tuple[int, bytes]:
        """The status and the body of a reply."""
        status = int(dict(self.until(ResponseReceived, stream).headers)[b":status"])
        self.until(StreamEnded, stream)
        found = [e for e in self.events if isinstance(e, DataReceived) and e.stream_id == stream]
        self.events = [e for e in self.events if e not in found]
        return status, b"".join(event.data or b"" for event in found)
