"""A run of a sandbox, and the requests to the agent that runs in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

from runloop_local.sandbox import link
from runloop_local.sandbox.base import Load, SandboxEnded, SandboxError

if TYPE_CHECKING:
    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.link import Channel, Reply, SandboxExit

ANSWER_SECONDS = 10.0
SPAWNS_AT_ONCE = 16
_STALLED_SECONDS = 1.0
_KILLED = 128 + signal.SIGKILL


class Run:
    """One run of a sandbox, from start to stop."""

    def __init__(self, channel: Channel, ending: SandboxExit) -> None:
        self.channel = channel
        self.ending = ending
        self.asked_to_end = False
        self._spawned = 0
        self.next: asyncio.Future[Run | None] = asyncio.get_running_loop().create_future()
        """The run that followed after a snapshot, or why it could not be started."""

    async def ask(self, message: Message, *, max_descriptors: int = 0) -> Reply:
        """Send a request and return its reply; raises SandboxError if the agent refuses or does not answer."""
        _, waiting = await self.channel.ask(message, max_descriptors=max_descriptors)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reply = await self._answer(waiting)
        except TimeoutError:
            raise SandboxError(f"The sandbox did not answer within {ANSWER_SECONDS:.0f} seconds.") from None
        finally:
            waiting.cancel()
        if reply is None:
            raise SandboxEnded("The sandbox ended while it was asked.")
        reason = reply.error()
        if reason is not None:
            raise SandboxError(f"{message['op']} failed in the sandbox: {reason}.")
        return reply

    async def _answer(self, waiting: asyncio.Future[Reply | None]) -> Reply | None:
        """Wait for a reply. A program of the sandbox may have stopped one that the agent is starting."""
        while not (await asyncio.wait([waiting], timeout=_STALLED_SECONDS))[0]:
            await self.ending.resume_start()
        return waiting.result()

    async def throttle_spawns(self) -> None:
        """Wait, every few spawns, until the agent has caught up.

        The agent forks one program after another and answers nothing meanwhile: behind a thousand queued spawns, any
        other request would time out.
        """
        self._spawned += 1
        if self._spawned % SPAWNS_AT_ONCE == 0:
            await self.catch_up()

    async def catch_up(self) -> None:
        """Wait until the agent has done what it was asked for before, however long that takes."""
        _, pong = await self.channel.ask({"op": "ping"})
        if await self._answer(pong) is None:
            raise SandboxEnded("The sandbox ended while it was asked.")

    async def end(self) -> None:
        """End every process and wait until they are gone."""
        # Before the channel is closed, which ends the agent: who waits for its end must know that it was wanted.
        self.asked_to_end = True
        self.channel.close()
        await self.ending.wait(ANSWER_SECONDS)


class AgentProcess:
    """A program in a sandbox, started by its agent."""

    def __init__(self, run: Run, number: int, exit_reply: asyncio.Future[Reply | None]) -> None:
        self._run = run
        self._number = number
        self._exit = exit_reply

    async def wait(self) -> int:
        """Its exit status, 0 to 255; 128 + N when signal N ended it."""
        if not (await asyncio.wait([self._exit], timeout=_STALLED_SECONDS))[0]:
            with contextlib.suppress(SandboxEnded):
                await self._run.catch_up()  # in case that it has not begun, which would keep the agent from all else
        # Shielded, as several callers may wait, and one that gives up must not cancel the future for the others.
        reply = await asyncio.shield(self._exit)
        if reply is None:  # the sandbox has ended, and whatever was left of it was killed
            await self._run.ending.wait()
            return _KILLED
        reason = reply.error()
        if reason is not None:
            raise SandboxError(f"The program could not be started: {reason}.")
        return reply.status()

    async def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group. A process that has ended is left alone."""
        if self._exit.done():
            return
        try:
            await self._run.ask({"op": "signal", "command": self._number, "number": number, "group": group})
        except SandboxEnded:
            return


class AgentClient:
    """The requests to the agent of a sandbox that start programs and open connections, one at a time."""

    def __init__(self, sandbox_id: str, *, has_terminals: bool) -> None:
        self.run: Run | None = None
        self.lock = asyncio.Lock()
        """Held during a request to the agent, and throughout a snapshot, so that nothing is started meanwhile."""
        self._sandbox_id = sandbox_id
        self._has_terminals = has_terminals

    def running(self) -> Run:
        """The current run; raises SandboxEnded if there is none."""
        if self.run is None or self.run.ending.done():
            raise SandboxEnded(f"Sandbox {self._sandbox_id} is not running.")
        return self.run

    async def load(self) -> Load:
        """The sandbox's current use of resources, as its agent counts them."""
        async with self.lock:
            reply = await self.running().ask({"op": "load"})
        return Load(reply.number("memory"), reply.number("processes"))

    async def spawn(self, request: Message, standard: list[int]) -> AgentProcess:
        """Start a program on three descriptors."""
        async with self.lock:
            run = self.running()
            await run.throttle_spawns()
            number, exit_reply = await run.channel.ask(request, standard)
        return AgentProcess(run, number, exit_reply)

    async def spawn_on_terminal(self, request: Message, *, rows: int, cols: int) -> tuple[AgentProcess, int]:
        """Start a program on a new pseudo-terminal; returns the process and the descriptor of the master."""
        if self._has_terminals:
            return await self._spawn_opening({**request, "terminal": {"open": True, "rows": rows, "cols": cols}})
        return await self._spawn_given({**request, "terminal": {"open": False, "rows": rows, "cols": cols}})

    async def _spawn_opening(self, request: Message) -> tuple[AgentProcess, int]:
        # The forked child opens the terminal itself, in the sandbox's /dev/pts, and sends the master over its stdin.
        ours, theirs = socket.socketpair()
        with ours:
            # Closed here as soon as the child has it: else the end of a child that failed would never be read.
            with theirs:
                process = await self.spawn(request, [theirs.fileno()] * 3)
            try:
                return process, await link.take_terminal(ours, ANSWER_SECONDS)
            except BaseException:
                await process.signal(signal.SIGKILL)
                raise

    async def _spawn_given(self, request: Message) -> tuple[AgentProcess, int]:
        control, given = os.openpty()
        try:
            return await self.spawn(request, [given] * 3), link.checked_terminal(control)
        except BaseException:
            os.close(control)
            raise
        finally:
            os.close(given)

    async def dial(self, port: int) -> socket.socket:
        """Connect to `port` on the sandbox's localhost, by IPv4 or IPv6; returns a non-blocking TCP socket."""
        try:
            return await self._dial(port, "127.0.0.1")
        except SandboxEnded:
            raise
        except SandboxError as refusal:
            with contextlib.suppress(SandboxError):
                return await self._dial(port, "::1")
            # That of IPv4: most programs listen there, and its reason is the one that helps.
            raise refusal from None

    async def _dial(self, port: int, host: str) -> socket.socket:
        async with self.lock:
            sock = link.take_socket(
                await self.running().ask({"op": "dial", "port": port, "host": host}, max_descriptors=1)
            )
        try:
            await link.connected(sock, ANSWER_SECONDS)
        except BaseException:
            sock.close()
            raise
        return sock
