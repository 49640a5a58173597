"""The service's side of the sockets to its helper processes: sends requests and matches replies by their number."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from runloop_local.fork_server import ForkServer
from runloop_local.sandbox import frames
from runloop_local.sandbox.base import SandboxEnded, SandboxError, failure
from runloop_local.sandbox.cgroups import ControlGroups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_MAX_REPLY = 1 << 16
_MAX_REASON = 500
_START_SECONDS = 30.0
_END_SECONDS = 10.0


class Reply(NamedTuple):
    """The reply to one request. Its sender is not trusted, so every field is checked when it is read."""

    message: frames.Message
    descriptors: tuple[int, ...]

    def error(self) -> str | None:
        """The reason why the request failed, or None."""
        found = self.message.get("error")
        return None if found is None else str(found)[:500]

    def number(self, name: str) -> int:
        """A field that must be a non-negative integer."""
        found = self.message.get(name)
        if not isinstance(found, int) or found < 0:
            raise SandboxError(f"The sandbox sent something else than a number: {str(found)[:40]}.")
        return found

    def strings(self, name: str) -> list[str]:
        """A field that must be a list of strings; empty if it is missing."""
        found = self.message.get(name, [])
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise SandboxError(f"The sandbox sent something else than texts: {str(found)[:40]}.")
        return found

    def status(self) -> int:
        """The exit status, 0 to 255."""
        found = self.message.get("status")
        if not isinstance(found, int) or not 0 <= found <= 255:
            raise SandboxError(f"The sandbox sent an exit status that is none: {str(found)[:40]}.")
        return found


class Channel:
    """One socket to a helper process, on the running event loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._decoder = frames.Decoder(_MAX_REPLY)
        self._numbers = itertools.count(1)
        self._sending = asyncio.Lock()
        self._write_waiter: asyncio.Future[None] | None = None
        """Resolved when a sender may go on whose message did not fit into the socket's buffer."""
        self._open = True
        self._waiting: dict[int, asyncio.Future[Reply | None]] = {0: self._loop.create_future()}
        self._max_descriptors: dict[int, int] = {0: frames.MAX_DESCRIPTORS}
        self.agents = 0
        """The number of agents at the other end, 0 or 1: one that has nothing to do leaves, and another one comes."""
        self.hello = self._waiting[0]
        """The helper's first message: that it is ready, or why it cannot start."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(sock, self._readable)

    @property
    def is_open(self) -> bool:
        """True until the helper's socket has ended."""
        return self._open

    async def ask(
        self, message: frames.Message, descriptors: Sequence[int] = (), *, max_descriptors: int = 0
    ) -> tuple[int, asyncio.Future[Reply | None]]:
        """Send a request; returns its number and a future of its reply, which is None if the channel ends first.

        The reply may carry up to `max_descriptors` descriptors.
        """
        if not self._open:
            raise SandboxEnded("The sandbox is not running.")
        number = next(self._numbers)
        # Registered before the request is sent, as the reply may arrive before `_send` returns.
        self._waiting[number] = reply = self._loop.create_future()
        self._max_descriptors[number] = max_descriptors
        try:
            await self._send(frames.encode({**message, "id": number}, len(descriptors)), descriptors)
        except BaseException:
            reply.cancel()  # so that descriptors of a late reply are closed
            raise
        return number, reply

    async def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        try:
            async with self._sending:
                sent = await self._send_first(data, descriptors)
                if sent < len(data):
                    await self._send_whole(memoryview(data)[sent:])
        except OSError as error:
            raise SandboxEnded("The sandbox ended while it was asked.") from error

    async def _send_first(self, data: bytes, descriptors: Sequence[int]) -> int:
        while True:
            try:
                return socket.send_fds(self._sock, [data], list(descriptors))
            except BlockingIOError:
                await self._writable()

    async def _send_whole(self, rest: memoryview) -> None:
        """Send the rest of a message even if the caller is cancelled: half a message would corrupt the stream."""
        sending = asyncio.create_task(self._send_rest(rest))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.gather(asyncio.shield(sending), return_exceptions=True)
            raise

    async def _send_rest(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await self._writable()

    async def _writable(self) -> None:
        """Wait until the socket is writable or closed."""
        self._write_waiter = room = self._loop.create_future()
        self._loop.add_writer(self._sock, _resolve, room)
        try:
            await room
        finally:
            if self._open:
                self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data, descriptors = frames.receive(self._sock)
            for message, passed in self._decoder.feed(data, descriptors):
                self._deliver(Reply(message, tuple(passed)))
        except BlockingIOError:
            return
        except (OSError, frames.FrameError):
            data = b""
        if not data:
            self.close()

    def _deliver(self, reply: Reply) -> None:
        number = reply.message.get("id")
        waiting = self._waiting.pop(number, None) if isinstance(number, int) else None
        wanted = self._max_descriptors.pop(number, 0) if isinstance(number, int) else 0
        if number == 0:
            self.agents = int(reply.message.get("agents") == 1)
        if waiting is None or waiting.done():
            frames.close_all(reply.descriptors)  # nobody waits any more
        elif len(reply.descriptors) > wanted:
            frames.close_all(reply.descriptors)
            waiting.set_result(None)
            raise frames.FrameError("a reply brought descriptors that nobody asked for")
        else:
            waiting.set_result(reply)

    def close(self) -> None:
        """Close the channel: the helper exits, and pending requests resolve to None."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        if self._write_waiter is not None:
            _resolve(self._write_waiter)
        self._decoder.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
        _resolve(self.closed)


async def writable(sock: socket.socket) -> None:
    """Wait until a socket is writable."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock)


async def readable(sock: socket.socket) -> None:
    """Wait until a socket is readable."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Helper:
    """The process that forks the agents of sandboxes; started when first needed, and again if it was killed."""

    def __init__(self, driver: str, folder: Path, given: ForkServer | None = None) -> None:
        self._arguments = (driver, str(folder))
        self._given = given
        """One that was started before."""
        self._server: ForkServer | None = None
        self._channel: Channel | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self._launched: dict[Channel, SandboxExit] = {}
        self.groups = ControlGroups.open(str(folder))
        """The control groups that limit its sandboxes, where they are available."""

    async def launch(self, request: frames.Message) -> tuple[Channel, SandboxExit]:
        """Start an agent; returns the channel to it and a handle to wait for the end of all its processes."""
        helper = await self._running()
        ours, theirs = socket.socketpair()
        try:
            number, ended = await helper.ask({**request, "op": "start"}, [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return self._keep(Channel(ours), SandboxExit(helper, number, ended))

    def _keep(self, channel: Channel, ending: SandboxExit) -> tuple[Channel, SandboxExit]:
        """Keep track of the channel until all its processes have ended, and close it then."""
        self._launched[channel] = ending

        def forget() -> None:
            channel.close()
            del self._launched[channel]

        ending.add_done_callback(forget)
        return channel, ending

    async def tool(self, *argv: str, stdin: int | None = None, stdout: int | None = None) -> None:
        """Run a trusted program on this machine's files; raises SandboxError with its stderr if it fails.

        `stdin` is closed here, so that only the program has it; `stdout` needs a stdin.
        """
        with tempfile.TemporaryFile() as stderr:
            try:
                helper = await self._running()
                passed = [fd for fd in (stderr.fileno(), stdin, stdout) if fd is not None]
                _, waiting = await helper.ask({"op": "tool", "argv": argv}, passed)
            finally:
                if stdin is not None:
                    os.close(stdin)
            reply = await waiting
            if reply is None:
                raise SandboxEnded(f"The helper process ended while it ran {argv[0]}.")
            if reply.status():
                stderr.seek(0)
                text = stderr.read(2000).decode(errors="replace").strip()
                raise failure(f"{argv[0]} failed with status {reply.status()}: {text}.", text)

    async def _running(self) -> Channel:
        async with self._starting:
            # Under the lock: a start that waited for it must not begin a helper that nobody would end.
            if self._closed:
                raise SandboxEnded("The service is stopping.")
            if self._channel is None or self._has_ended(self._channel):
                # The sandboxes of one that was killed have ended with it: their channels are closed.
                await self._end()
                self._server, self._channel = self._start()
                await wait_until_ready(self._channel, "The helper process for sandboxes")
            return self._channel

    def _has_ended(self, channel: Channel) -> bool:
        """True if the helper was killed; its socket and its exit status may show it in either order."""
        return not channel.is_open or self._server is None or self._server.has_ended()

    def _start(self) -> tuple[ForkServer, Channel]:
        given, self._given = self._given, None
        server = ForkServer() if given is None or given.has_ended() else given
        driver, folder = self._arguments
        with suppress(BrokenPipeError):  # killed meanwhile, which its channel tells
            frames.send(server.sock, {"driver": driver, "folder": folder})
        return server, Channel(server.sock)

    async def aclose(self) -> None:
        """End every sandbox's processes, then the helper."""
        # The sandboxes first: the helper reaps their agents and kills what they leave, so it must outlive them.
        self._closed = True
        for channel, ending in [*self._launched.items()]:
            channel.close()
            await ending.wait(_END_SECONDS)
        async with self._starting:
            await self._end()
        self.groups.close()

    async def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._server is not None:
            await asyncio.to_thread(self._server.process.wait)
            self._server = None


class SandboxExit(msgspec.Struct, frozen=True):
    """The end of all processes of a sandbox, as reported by the helper."""

    _helper: Channel
    _number: int
    _reply: asyncio.Future[Reply | None]

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call this once they have ended."""
        self._reply.add_done_callback(lambda _reply: callback())

    def done(self) -> bool:
        """True if they have ended."""
        return self._reply.done()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until they have ended; after this many seconds the agent is killed."""
        try:
            await asyncio.wait_for(asyncio.shield(self._reply), seconds)
        except TimeoutError:
            # By the helper, its parent: only it knows that the number is still that process.
            await self._helper.ask({"op": "kill", "target": self._number})
            await asyncio.shield(self._reply)

    async def resume_start(self) -> None:
        """Continue a program that was stopped while the agent was starting it, for which the agent waits."""
        await self._helper.ask({"op": "resume", "target": self._number})


async def wait_until_ready(channel: Channel, who: str) -> Reply:
    """Wait for a helper's first message; raises SandboxError with its reason if it cannot start."""
    try:
        reply = await asyncio.wait_for(asyncio.shield(channel.hello), _START_SECONDS)
    except TimeoutError:
        channel.close()
        raise SandboxError(f"{who} did not start within {_START_SECONDS:.0f} seconds.") from None
    if reply is None:
        raise SandboxError(f"{who} ended while it started.")
    reason = reply.error()
    if reason is not None:
        channel.close()
        raise failure(f"{who} could not start: {reason}.", reason)
    return reply


async def connected(sock: socket.socket, seconds: float) -> None:
    """Wait until a non-blocking connect is done; raises SandboxError if it fails."""
    try:
        await asyncio.wait_for(writable(sock), seconds)
    except TimeoutError:
        raise SandboxError(f"The port did not answer within {seconds:.0f} seconds.") from None
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise SandboxError(f"The port could not be reached: {os.strerror(number)}.")


class SocketForm(NamedTuple):
    """A form of sockets that a sandbox may pass."""

    name: str
    kind: socket.SocketKind
    families: tuple[socket.AddressFamily, ...] = (socket.AF_INET, socket.AF_INET6)


TCP = SocketForm("TCP", socket.SOCK_STREAM)
UDP = SocketForm("UDP", socket.SOCK_DGRAM)
RAW = SocketForm("raw", socket.SOCK_RAW, (socket.AF_INET,))
NETLINK = SocketForm("netlink", socket.SOCK_RAW, (socket.AF_NETLINK,) if sys.platform == "linux" else ())


def take_socket(reply: Reply) -> socket.socket:
    """Take over the TCP socket that came with a reply, checking that it is one."""
    return take_sockets(reply, TCP)[0]


def take_sockets(reply: Reply, *forms: SocketForm) -> list[socket.socket]:
    """Take over the sockets that came with a reply, checking that they are of these forms."""
    if len(reply.descriptors) != len(forms):
        frames.close_all(reply.descriptors)
        raise SandboxError("The sandbox did not pass a socket.")
    taken: list[socket.socket] = []
    try:
        for descriptor, form in zip(reply.descriptors, forms, strict=True):
            taken.append(_socket(descriptor, form))
    except SandboxError:
        for sock in taken:
            sock.close()
        frames.close_all(reply.descriptors[len(taken) + 1 :])
        raise
    return taken


def _socket(descriptor: int, form: SocketForm) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        os.close(descriptor)
        raise SandboxError("The sandbox passed something that is no socket.") from error
    # A hostile agent could pass any socket, such as a unix socket to somebody else's service.
    if sock.family not in form.families or sock.type != form.kind:
        sock.close()
        raise SandboxError(f"The sandbox passed a socket that is not {form.name}.")
    sock.setblocking(False)
    return sock


async def take_terminal(sock: socket.socket, seconds: float) -> int:
    """Receive the pseudo-terminal's master that a command sends over this socket. Its sender is not trusted."""
    try:
        await asyncio.wait_for(readable(sock), seconds)
    except TimeoutError:
        raise SandboxError(f"The terminal was not opened within {seconds:.0f} seconds.") from None
    data, descriptors, _flags, _address = socket.recv_fds(sock, _MAX_REASON, 1)
    if not descriptors:
        reason = data.decode(errors="replace").strip() or "the sandbox ended"
        raise SandboxError(f"The terminal could not be opened: {reason}.")
    return checked_terminal(descriptors[0])


def checked_terminal(file: int) -> int:
    """Make a terminal's descriptor close-on-exec and non-blocking; anything else is closed and refused."""
    # Again, the sender is the sandbox: a file or a pipe in its place would be written to as if it were a terminal.
    if not os.isatty(file):
        os.close(file)
        raise SandboxError("The sandbox passed something that is no terminal.")
    os.set_inheritable(file, False)
    os.set_blocking(file, False)
    return file
