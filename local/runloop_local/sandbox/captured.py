"""The way out for programs that use no proxy: their TCP connections and DNS queries, which `capture` leads here.

The service connects in their place, under the same policy and to the same addresses as the egress proxy. A policy that
allows names is held by an own resolver: it answers for allowed names only, and a connection to an address counts as one
to the names that were answered with it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from runloop_local.sandbox import dns_message
from runloop_local.sandbox.egress import CONNECT_SECONDS, Usage, check_connection_limit, counted, relay
from runloop_local.sandbox.held import HeldConnections
from runloop_local.sandbox.proxy_request import RefusedError, checked_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runloop_local.sandbox.base import EgressPredicate
    from runloop_local.sandbox.dns_message import Query
    from runloop_local.sandbox.egress import Egress
    from runloop_local.sandbox.held import Key, Opening, Refusal

_DNS = 53
_ORIGINAL_DESTINATION = 80
_MOST_QUERIES = 64
"""The number of queries of one devbox that wait for an answer; others are dropped, and asked again."""
_QUERIES_AT_ONCE, _QUERY_PAUSE_S = 32, 0.01
_QUERY_BYTES = 4096
_MOST_NAMES = 4096
_ANSWER_SECONDS = 60
_NAME_SECONDS = 3600.0
"""The time that an answer counts for a policy: programs keep addresses longer than they may."""
_QUERY_SECONDS = 30.0
_NOWHERE = IPv4Address(0)
_ACCEPT_SECONDS = 10.0
"""The time within which a connection is accepted whose server has answered: at once, unless the program has gone."""
_Sender = tuple[str, int]
Server = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ResolvedNames:
    """The names that a devbox was told the addresses of, for a time."""

    def __init__(self) -> None:
        self._until: dict[tuple[IPv4Address, str], float] = {}

    def add(self, address: IPv4Address, name: str, now: float) -> None:
        """Note that the name was answered with this address."""
        self._until.pop((address, name), None)
        self._until[address, name] = now + _NAME_SECONDS
        while len(self._until) > _MOST_NAMES:
            del self._until[next(iter(self._until))]  # the oldest

    def of(self, address: IPv4Address, now: float) -> list[str]:
        """The names that were answered with this address."""
        return [name for (known, name), until in self._until.items() if known == address and until > now]


class CapturedEgress:
    """The captured connections and names of one devbox."""

    def __init__(self, egress: Egress, is_allowed: EgressPredicate | None, usage: Usage) -> None:
        self._egress = egress
        self._is_allowed = is_allowed
        self._usage = usage
        self._names = ResolvedNames()
        self._queries = 0
        self._server: asyncio.Server | None = None
        self._socket: _QuerySocket | None = None
        self._held: HeldConnections | None = None
        self._servers: dict[Key, Server | None] = {}
        """The servers of connections that begin: None while one is asked, until its connection is accepted."""

    async def serve(
        self, connections: socket.socket, names: socket.socket, holding: Sequence[socket.socket] = ()
    ) -> None:
        """Serve the sockets that the kernel redirects connections and queries to, until `close`.

        `holding` are those of `HeldConnections`: a connection then begins only once its server has answered.
        """

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._usage.begin(self._serve_connection(reader, writer))

        self._server = await asyncio.start_server(begin, sock=connections)
        self._socket = _QuerySocket(names, self._take_query)
        if holding:
            packets, answers = holding
            self._held = HeldConnections(packets, answers, self._take_opening)

    def close(self) -> None:
        """Stop listening; the connections end with the devbox's others."""
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        if self._held is not None:
            self._held.close()
        for waiting in self._servers.values():
            if waiting is not None:
                waiting[1].close()

    def _take_opening(self, held: HeldConnections, opening: Opening) -> None:
        if opening.key not in self._servers:  # else the program sends it again while the server is asked
            self._servers[opening.key] = None
            self._usage.begin(self._open(held, opening))

    async def _open(self, held: HeldConnections, opening: Opening) -> None:
        """Connect to the server, then let the connection begin, and be accepted."""
        with counted(self._usage):
            try:
                check_connection_limit(self._usage)
                server = await self._connect(opening.address, opening.port)
            except (OSError, RefusedError) as error:
                del self._servers[opening.key]
                held.refuse(opening, refusal_for(error))
                return
        self._servers[opening.key] = server
        held.admit(opening)
        asyncio.get_running_loop().call_later(_ACCEPT_SECONDS, self._let_go, opening.key, server)

    def _let_go(self, key: Key, server: Server) -> None:
        """Close the connection to a server if the program has not waited for it."""
        if self._servers.get(key) is server:
            del self._servers[key]
            server[1].close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError), counted(self._usage):
            async with self._usage.open(writer):
                try:
                    check_connection_limit(self._usage)
                    await self._forward(reader, writer)
                except (OSError, RefusedError, TimeoutError, asyncio.IncompleteReadError):
                    # There is nobody to tell a sentence: the program's connection is reset.
                    _reset(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = _destination(writer.get_extra_info("socket"))
        if port == _DNS:
            await self._serve_queries(reader, writer)
            return
        source = writer.get_extra_info("peername")
        server = self._servers.pop((*source[:2], str(address), port), None)
        out_reader, out_writer = server or await self._connect(address, port)
        async with self._usage.open(out_writer):
            try:
                await relay((reader, out_writer), (out_reader, writer))
            except OSError:
                _reset(out_writer)
                raise

    async def _connect(self, address: IPv4Address, port: int) -> Server:
        if not self.permits(address, port):
            raise RefusedError("403 Forbidden", f"The devbox may not reach {address}:{port}.")
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(str(address), port)

    def permits(self, address: IPv4Address, port: int) -> bool:
        """True if a connection to this address is allowed, by the address or by a name that led to it."""
        if not self._egress.is_open(self._is_allowed, address, port):
            return False
        if self._is_allowed is None:
            return True
        names = (str(address), *self._names.of(address, asyncio.get_running_loop().time()))
        return any(self._is_allowed(name, port, address) for name in names)

    def _take_query(self, data: bytes, sender: _Sender) -> None:
        if self._queries < _MOST_QUERIES:
            self._queries += 1
            self._usage.begin(self._answer_datagram(data, sender))

    async def _answer_datagram(self, data: bytes, sender: _Sender) -> None:
        try:
            answer = await self._answer(data)
        finally:
            self._queries -= 1
        if answer is not None and self._socket is not None:
            self._socket.answer(answer, sender)

    async def _serve_queries(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer queries on a connection, where each message follows its length."""
        while True:
            async with asyncio.timeout(_QUERY_SECONDS):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                data = await reader.readexactly(length)
            answer = await self._answer(data)
            if answer is None:
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()

    async def _answer(self, data: bytes) -> bytes | None:
        """The answer to a query; None if it is none."""
        try:
            query = dns_message.parse(data)
        except ValueError:
            return None
        if query.kind not in (dns_message.IPV4, dns_message.IPV6):
            return dns_message.failure(query, dns_message.NOT_IMPLEMENTED)
        name = checked_host(query.name)
        # Before the lookup, as a query alone could carry something out.
        if name is None or not self._may_resolve(name):
            return dns_message.failure(query, dns_message.REFUSED)
        try:
            return self._found(query, name, await self._egress.resolved(self._usage, name, 0))
        except RefusedError as refused:
            is_unknown = refused.status.startswith("502")
            return dns_message.failure(query, dns_message.NO_SUCH_NAME if is_unknown else dns_message.FAILED)

    def _may_resolve(self, name: str) -> bool:
        """True for names that a policy allows by a rule for names, or by one for all addresses."""
        return self._is_allowed is None or self._is_allowed(name, 0, _NOWHERE)

    def _found(self, query: Query, name: str, texts: list[str]) -> bytes:
        now = asyncio.get_running_loop().time()
        # Others are not even named: what the names of the local network stand for is nobody's business.
        found = [IPv4Address(text) for text in texts if ":" not in text]
        shown = [address for address in found if self._egress.is_open(self._is_allowed, address, 0)]
        for address in shown:
            self._names.add(address, name, now)
        if found and not shown:
            return dns_message.failure(query, dns_message.REFUSED)
        return dns_message.answer(query, shown, _ANSWER_SECONDS)


class _QuerySocket:
    """A socket that queries come by; not read for a moment after so many, so that a flood leaves time to others."""

    def __init__(self, sock: socket.socket, take: Callable[[bytes, _Sender], None]) -> None:
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._read = 0
        self._resume()

    def _resume(self) -> None:
        self._read = 0
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        with suppress(OSError):
            self._take(*self._sock.recvfrom(_QUERY_BYTES))
        self._read += 1
        if self._read == _QUERIES_AT_ONCE:
            self._loop.remove_reader(self._sock)
            self._loop.call_later(_QUERY_PAUSE_S, self._resume)

    def answer(self, data: bytes, sender: _Sender) -> None:
        """Send an answer; lost, like any datagram, if the socket cannot take it."""
        with suppress(OSError):
            self._sock.sendto(data, sender)

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._sock)
        self._sock.close()


def _destination(sock: socket.socket) -> tuple[IPv4Address, int]:
    """Where a redirected connection was meant to go."""
    found = sock.getsockopt(socket.IPPROTO_IP, _ORIGINAL_DESTINATION, 16)
    port, address = struct.unpack_from("!2xH4s", found)
    return IPv4Address(address), port


def refusal_for(error: Exception) -> Refusal:
    """What a program is told whose server could not be reached."""
    if isinstance(error, RefusedError):
        return "prohibited"
    return "refused" if isinstance(error, ConnectionRefusedError | ConnectionResetError) else "unreachable"


def _reset(writer: asyncio.StreamWriter) -> None:
    """Let the close of a connection be a reset, as for one that was refused."""
    with suppress(OSError):
        linger, seconds = 1, 0
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, seconds))
