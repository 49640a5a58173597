"""The way out of a devbox with a network of its own: an HTTP proxy that listens inside it and connects from outside.

It serves CONNECT (https and all that tunnels) and requests with an absolute URI (plain http). What programs look for,
`http_proxy` and `https_proxy`, is set in every devbox. Nothing on this machine itself can be reached through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from runloop_local.sandbox.base import Address, Reach

PORT = 13128
ADDRESS = f"http://127.0.0.1:{PORT}"
ENVIRONMENT = {
    **{name: ADDRESS for lower in ("http_proxy", "https_proxy") for name in (lower, lower.upper())},
    "no_proxy": "localhost,127.0.0.1,::1",
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
_CONNECT_SECONDS = 20.0
_HEAD_SECONDS = 30.0
_HEAD_BYTES = 64 << 10
_PIECE = 64 << 10


class RefusedError(Exception):
    """A request that is not passed on: an HTTP status and one sentence."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def is_outside(address: Address) -> bool:
    """Whether an address is neither this machine's nor one that only its neighbours and its cloud's host answer."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_outside(mapped)
    local = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
    return not local and not _is_own(address)


def _is_own(address: Address) -> bool:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))  # only an address of this machine can be bound
        except OSError:
            return False
    return True


class Egress:
    """Serves the proxies of all devboxes; `allowed` decides by address, after the name was resolved."""

    def __init__(self, allowed: Callable[[Address], bool] = is_outside) -> None:
        self._allowed = allowed

    async def serve(self, listener: socket.socket, reach: Reach | None = None) -> asyncio.Server:
        """Begin to serve on a socket that listens inside a devbox; closing the server ends it."""
        return await asyncio.start_server(partial(self._serve_one, reach), sock=listener, limit=_HEAD_BYTES)

    async def _serve_one(self, reach: Reach | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pass_on(reach or _anywhere, reader, writer)
        except RefusedError as refused:
            body = f"{refused}\n".encode()
            head = f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # one of the two sides has gone, and the other sees the end of its connection
        finally:
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def _pass_on(self, reach: Reach, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, rest = await _head(reader)
        if method == "CONNECT":
            host, port = _host_and_port(f"//{target}", 443)
            out_reader, out_writer = await self._connect(reach, host, port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            host, port = _host_and_port(target, 80)
            out_reader, out_writer = await self._connect(reach, host, port)
            out_writer.write(_relative(method, target, rest))
        await _relay((reader, out_writer), (out_reader, writer))

    async def _connect(self, reach: Reach, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for address in await self._addresses(reach, host, port):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
        raise RefusedError("502 Bad Gateway", f"{host}:{port} does not answer.")

    async def _addresses(self, reach: Reach, host: str, port: int) -> list[str]:
        if not reach(host, port, None):  # said before anyone is asked who that is
            raise _out_of_reach(host, port)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise RefusedError("502 Bad Gateway", f"There is no host named {host}.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [address for address in addresses if self._allowed(ipaddress.ip_address(address))]
        if not allowed:
            raise RefusedError("403 Forbidden", f"{host} is this machine or its neighbourhood, closed to devboxes.")
        within = [address for address in allowed if reach(host, port, ipaddress.ip_address(address))]
        if not within:
            raise _out_of_reach(host, port)
        return within


def _anywhere(_host: str, _port: int, _address: Address | None) -> bool:
    return True


def _out_of_reach(host: str, port: int) -> RefusedError:
    return RefusedError("403 Forbidden", f"The devbox's network policy does not let it reach {host}:{port}.")


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, list[bytes]]:
    """Method, target and header lines of a request."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise RefusedError("431 Request Header Fields Too Large", "The request's head is too large.") from None
    line, *rest = head[:-4].split(b"\r\n")
    parts = line.decode("latin-1").split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise RefusedError("400 Bad Request", "This is an HTTP proxy, and that was no HTTP request.")
    return parts[0], parts[1], rest


def _host_and_port(url: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default
    except ValueError:
        host, port = None, default
    if not host or parts.scheme not in ("", "http"):
        raise RefusedError("400 Bad Request", f"{url} is no address that this proxy can ask.")
    return host, port


def _relative(method: str, target: str, rest: list[bytes]) -> bytes:
    """The request as its server expects it. One to a connection: the next may be for another server."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    dropped = (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive")
    kept = [line for line in rest if line.partition(b":")[0].strip().lower() not in dropped]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode("latin-1"), *kept, b"Connection: close", b"", b""])


async def _relay(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy both ways until both have ended."""
    copies = [asyncio.create_task(_copy(source, sink)) for source, sink in ways]
    try:
        await asyncio.gather(*copies)
    finally:
        for copy in copies:
            copy.cancel()
        for _, sink in ways:
            sink.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
