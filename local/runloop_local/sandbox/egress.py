"""The egress proxy of a devbox with its own network: an HTTP proxy that listens inside it and connects from outside.

It serves CONNECT (https and other tunnels) and requests with an absolute URI (plain http). `http_proxy` and
`https_proxy` are set in every devbox. Nothing on this machine can be reached through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Self

import msgspec

from runloop_local.sandbox.base import Address, EgressPredicate
from runloop_local.sandbox.local_addresses import is_local_network, is_this_machine, own_networks
from runloop_local.sandbox.proxy_request import ProxyRequest, RefusedError, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from typing import Any

PORT = 13128
ADDRESS = f"http://127.0.0.1:{PORT}"
ENVIRONMENT = {
    **{name: ADDRESS for lower in ("http_proxy", "https_proxy") for name in (lower, lower.upper())},
    "no_proxy": "localhost,127.0.0.1,::1",
    "NO_PROXY": "localhost,127.0.0.1,::1",
}
NAMES_AT_ONCE = 8
"""The number of concurrent DNS lookups of one devbox; others wait."""
CONNECT_SECONDS = 20.0
_RESOLVE_SECONDS = 20.0
_HEAD_SECONDS = 30.0
_HEAD_BYTES = 64 << 10
_CHUNK_BYTES = 64 << 10
_RESOLVERS = 64
_FEWEST_CONNECTIONS, _MOST_CONNECTIONS, _SHARE_OF_DESCRIPTORS = 16, 512, 32


class Usage(msgspec.Struct):
    """The open connections and lookups of one devbox."""

    connections: int = 0
    names: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(NAMES_AT_ONCE))
    tasks: set[asyncio.Task[None]] = msgspec.field(default_factory=set)
    writers: set[asyncio.StreamWriter] = msgspec.field(default_factory=set)
    """Both ends of each connection."""

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this work for the devbox in a task, which ends with the devbox."""
        # asyncio drops its reference to a handler's task when the connection is lost, maybe before it is done.
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def end(self) -> None:
        """Abort all connections: nothing inside is left to end them, and the peers may never."""
        for writer in self.writers:
            with suppress(AttributeError):  # raised by asyncio for a transport that has just been closed
                writer.transport.abort()
        for task in self.tasks:
            # A task may wait for a name that never resolves, with no connection that could be aborted yet.
            task.cancel()

    @asynccontextmanager
    async def open(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """Keep track of one end of a connection until everything written to it is flushed and it is closed."""
        self.writers.add(writer)
        try:
            yield
        finally:
            writer.close()
            try:
                with suppress(OSError):
                    await writer.wait_closed()
            finally:
                self.writers.discard(writer)


class EgressProxy:
    """The proxy of one devbox."""

    def __init__(self, server: asyncio.Server, usage: Usage) -> None:
        self._server = server
        self.usage = usage

    def close(self) -> None:
        """Stop listening and abort all connections."""
        self._server.close()
        self.usage.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()
        await self._server.wait_closed()


class Egress:
    """Serves the proxies of all devboxes.

    `is_closed` is true for addresses that nobody may reach, `is_guarded` for those that only a policy naming their
    network opens. Both are checked after the name is resolved, and the checked address is the one connected to, so a
    second lookup cannot lead elsewhere (DNS rebinding).
    """

    def __init__(
        self,
        is_closed: Callable[[Address], bool] = is_this_machine,
        is_guarded: Callable[[Address], bool] = lambda address: is_local_network(address, own_networks()),
    ) -> None:
        self._is_closed = is_closed
        self._is_guarded = is_guarded
        # Its own pool: slow lookups must not take the threads that the service's other work needs.
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "resolver")

    async def serve(self, listener: socket.socket, is_allowed: EgressPredicate | None = None) -> EgressProxy:
        """Start the proxy of one devbox on a socket that listens inside it."""
        usage = Usage()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            usage.begin(self._serve_one(is_allowed, usage, reader, writer))

        return EgressProxy(await asyncio.start_server(begin, sock=listener, limit=_HEAD_BYTES), usage)

    async def _serve_one(
        self,
        is_allowed: EgressPredicate | None,
        usage: Usage,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            with counted(usage):
                async with usage.open(writer):
                    await self._answer(is_allowed, usage, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # one side has gone, and the other sees its connection close

    async def _answer(
        self,
        is_allowed: EgressPredicate | None,
        usage: Usage,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            check_connection_limit(usage)
            await self._forward(is_allowed, usage, reader, writer)
        except RefusedError as refused:
            body = f"{refused}\n".encode()
            head = f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)

    async def _forward(
        self,
        is_allowed: EgressPredicate | None,
        usage: Usage,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        request = parse(await _head(reader))
        out_reader, out_writer = await self._connect(is_allowed, usage, request)
        # The answer to the devbox comes after the connection: a refusal would else be taken for data of the other side.
        async with usage.open(out_writer):
            if request.head is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                out_writer.write(request.head)
            await relay((reader, out_writer), (out_reader, writer))

    async def _connect(
        self, is_allowed: EgressPredicate | None, usage: Usage, request: ProxyRequest
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = request.host, request.port
        for address in await self._addresses(is_allowed, usage, host, port):
            # A name may have several addresses, and the first of them may be down.
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
        raise RefusedError("502 Bad Gateway", f"{host}:{port} does not answer.")

    async def _addresses(self, is_allowed: EgressPredicate | None, usage: Usage, host: str, port: int) -> list[str]:
        policy = is_allowed or _allow_all
        if not policy(host, port, None):  # before the lookup: a forbidden name must not even reach a DNS server
            raise _not_allowed(host, port)
        found = [ipaddress.ip_address(each) for each in await self.resolved(usage, host, port)]
        open_ones = [address for address in found if self.is_open(is_allowed, address, port)]
        if not open_ones:
            raise RefusedError(
                "403 Forbidden", f"{host} is this machine or in its local network, which is closed to devboxes."
            )
        within = [str(address) for address in open_ones if policy(host, port, address)]
        if not within:
            raise _not_allowed(host, port)
        return within

    def is_open(self, is_allowed: EgressPredicate | None, address: Address, port: int) -> bool:
        """True if an address may be reached, whatever the policy says of the name that led to it."""
        if self._is_closed(address):
            return False
        # A rule for a name does not open guarded addresses: the owner of the name decides what it resolves to.
        return not self._is_guarded(address) or (is_allowed is not None and is_allowed("", port, address))

    async def resolved(self, usage: Usage, host: str, port: int) -> list[str]:
        """Look up the addresses of a host; a lookup that times out counts as running until its thread is done."""
        # So many at once for each devbox: one that asks for names without end must leave threads to the others.
        await usage.names.acquire()
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._resolvers, _lookup, host, port)
        except RuntimeError:  # no thread could be started
            usage.names.release()
            sentence = f"The name {host} cannot be looked up now: this machine cannot start more processes."
            raise RefusedError("503 Service Unavailable", sentence) from None
        looking.add_done_callback(lambda _: usage.names.release())
        looking.add_done_callback(lambda late: late.cancelled() or late.exception())  # retrieved, so never logged
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await asyncio.shield(looking)
        except TimeoutError:
            raise RefusedError("504 Gateway Timeout", f"The name {host} could not be looked up in time.") from None
        except (OSError, UnicodeError):
            raise RefusedError("502 Bad Gateway", f"There is no host named {host}.") from None
        return list(dict.fromkeys(found))


def _lookup(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@contextmanager
def counted(usage: Usage) -> Iterator[None]:
    """Count a connection until both its ends are closed."""
    usage.connections += 1
    try:
        yield
    finally:
        usage.connections -= 1


def check_connection_limit(usage: Usage) -> None:
    """Raise `RefusedError` if the devbox has more connections than one may have."""
    if usage.connections > _most_connections():
        raise RefusedError("503 Service Unavailable", "The devbox has too many connections to this proxy: end some.")


def _most_connections() -> int:
    """The limit for one devbox: each connection takes two descriptors of the service, which others need too."""
    share = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE_OF_DESCRIPTORS
    return max(_FEWEST_CONNECTIONS, min(share, _MOST_CONNECTIONS))


def _allow_all(_host: str, _port: int, _address: Address | None) -> bool:
    return True


def _not_allowed(host: str, port: int) -> RefusedError:
    return RefusedError("403 Forbidden", f"The devbox's network policy does not let it reach {host}:{port}.")


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Read the head of a request, including the empty line that ends it."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise RefusedError("431 Request Header Fields Too Large", "The request's head is too large.") from None


async def relay(*directions: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy in both directions until both have ended."""
    copies = [asyncio.create_task(_copy(source, sink)) for source, sink in directions]
    try:
        await asyncio.gather(*copies)
    finally:
        for copy in copies:
            copy.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    # One direction may end long before the other: a client that has sent its request still wants the answer.
    while piece := await source.read(_CHUNK_BYTES):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
