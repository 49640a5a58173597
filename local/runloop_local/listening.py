"""Opens the listening sockets of the service: on the requested host, and on both loopback addresses at the same port.

Browsers resolve `localhost`, and so each tunnel's host name, to ::1 or to 127.0.0.1. If one of the two were free, any
account could listen there and receive requests meant for a tunnel.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

_BACKLOG = 4096
"""The backlog: connections that the system queues until they are accepted."""
_LOOPBACK = ("127.0.0.1", "::1")
_COVERED = {"0.0.0.0": ("127.0.0.1",), "localhost": ("127.0.0.1",), "::": _LOOPBACK}  # noqa: S104 -- not bound
"""Loopback addresses that are taken already by a socket on one of these hosts."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 -- shown, not bound
_MISSING = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""Errors for an address that this machine does not have."""
_PORTS_TRIED = 64


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on `host`, then on 127.0.0.1 and ::1 where this machine has them; port 0 chooses a free port.

    Raises `OSError` if the port is taken at one of them, or the host is not an address of this machine.
    """
    with ExitStack() as refused:  # kept open until the end, so that each attempt gets another port
        for _ in range(_PORTS_TRIED if port == 0 else 1):
            first = _listener(host, port)
            try:
                return [first, *_loopback_listeners(host, first.getsockname()[1])]
            except BaseException as error:
                refused.enter_context(first)
                if not (isinstance(error, OSError) and error.errno == errno.EADDRINUSE):
                    raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def restore_backlog(listeners: list[socket.socket]) -> None:
    """Set the backlog again, as asyncio sets its own."""
    for listener in listeners:
        listener.listen(_BACKLOG)


def base_url(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{_ANY.get(host, f'[{host}]' if ':' in host else host)}:{port}"


def _loopback_listeners(host: str, port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for address in _LOOPBACK:
            if address not in _COVERED.get(host, (host,)):
                made += _listener_if_available(address, port)
    except BaseException:
        for listener in made:
            listener.close()
        raise
    return made


def _listener_if_available(address: str, port: int) -> list[socket.socket]:
    try:
        return [_listener(address, port)]
    except OSError as error:
        if error.errno in _MISSING:
            return []
        raise OSError(error.errno, f"{error.strerror} at {address}") from error


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio does not turn Nagle's algorithm off, and small responses wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
