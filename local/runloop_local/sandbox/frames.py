"""The framing between the service and its helper processes: JSON messages with descriptors over a stream socket.

Each message is a JSON object after a header with its length and the number of descriptors that travel with it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Message = dict[str, Any]

_HEADER = struct.Struct("!IB")
MAX_DESCRIPTORS = 8
_MOST_NAMED = 16
CHUNK = 1 << 16


class FrameError(Exception):
    """The peer violated the format."""


def encode(message: Message, descriptors: int = 0) -> bytes:
    """Encode a message that travels with this number of descriptors."""
    body = json.dumps(message).encode()
    return _HEADER.pack(len(body), descriptors) + body


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Receive bytes (none at the end of the stream) and descriptors, which are set close-on-exec."""
    data, descriptors, _flags, _address = socket.recv_fds(sock, CHUNK, MAX_DESCRIPTORS)
    for fd in descriptors:  # recv_fds has no way to pass MSG_CMSG_CLOEXEC
        os.set_inheritable(fd, False)
    return data, descriptors


def send(sock: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send on a blocking socket."""
    data = encode(message, len(descriptors))
    sent = socket.send_fds(sock, [data], list(descriptors))
    sock.sendall(data[sent:])


def send_named(sock: socket.socket, descriptors: Mapping[str, int]) -> None:
    """Send descriptors, each with its name, as the only message of a socket."""
    socket.send_fds(sock, [",".join(descriptors).encode()], [*descriptors.values()])


def receive_named(sock: socket.socket) -> dict[str, int]:
    """Receive what `send_named` has sent, close-on-exec; empty if it has ended, or if not all came."""
    try:
        names, descriptors, _flags, _address = socket.recv_fds(sock, CHUNK, _MOST_NAMED)
    except ConnectionResetError:  # it was killed before it had read everything
        return {}
    for fd in descriptors:
        os.set_inheritable(fd, False)
    found = dict(zip(names.decode().split(","), descriptors, strict=False))
    if names and len(found) < names.count(b",") + 1:
        close_all(descriptors)
        return {}
    return found


class Decoder:
    """Decodes what `receive` returned into messages.

    `close` closes the descriptors of a message that was never completed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._descriptors: list[int] = []

    def feed(self, data: bytes, descriptors: Sequence[int]) -> Iterator[tuple[Message, list[int]]]:
        """The messages that are complete now, each with its descriptors; raises FrameError."""
        self._data += data
        self._descriptors += descriptors
        if len(self._descriptors) > MAX_DESCRIPTORS:
            raise FrameError("more descriptors came than messages announce")
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> tuple[Message, list[int]] | None:
        if len(self._data) < _HEADER.size:
            return None
        length, count = _HEADER.unpack_from(self._data)
        if length > self._limit:
            raise FrameError(f"a message of {length} bytes is over the limit of {self._limit}")
        if len(self._data) < _HEADER.size + length:
            return None
        message = _parse(bytes(self._data[_HEADER.size : _HEADER.size + length]))
        del self._data[: _HEADER.size + length]
        return message, self._take(count)

    def _take(self, count: int) -> list[int]:
        if count > len(self._descriptors):
            raise FrameError(f"{count} descriptors were announced and {len(self._descriptors)} came")
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    @property
    def is_empty(self) -> bool:
        """True if no message has been received in part."""
        return not self._data

    def close(self) -> None:
        """Close the descriptors that no message has claimed."""
        close_all(self._descriptors)
        self._descriptors = []


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError("a message is not a JSON object")
    return message


def close_all(descriptors: Sequence[int]) -> None:
    """Close all these descriptors."""
    for fd in descriptors:
        os.close(fd)
