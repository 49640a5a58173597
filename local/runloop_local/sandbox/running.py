"""A sandbox that is controlled through its agent; the common base of both kinds of isolation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from runloop_local.sandbox import disks, link
from runloop_local.sandbox.base import Command, EgressPredicate, Limits, Load, SandboxEnded, SandboxError, User

if TYPE_CHECKING:
    from pathlib import Path

    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.link import Channel, Helper, Reply, SandboxExit

_ANSWER_SECONDS = 10.0
SPAWNS_AT_ONCE = 16
_KILLED = 128 + signal.SIGKILL
_NICE = 5
"""The nice level of commands where no control group weighs their CPU time."""


class Run:
    """One run of a sandbox, from start to stop."""

    def __init__(self, channel: Channel, ending: SandboxExit) -> None:
        self.channel = channel
        self.ending = ending
        self.asked_to_end = False
        self._spawned = 0
        self.next: asyncio.Future[Run | None] = asyncio.get_running_loop().create_future()
        """The run that followed after a snapshot; None if it could not be started."""

    async def ask(self, message: Message, *, max_descriptors: int = 0) -> Reply:
        """Send a request and return its reply; raises SandboxError if the agent refuses or does not answer."""
        _, waiting = await self.channel.ask(message, max_descriptors=max_descriptors)
        try:
            reply = await asyncio.wait_for(waiting, _ANSWER_SECONDS)
        except TimeoutError:
            raise SandboxError(f"The sandbox did not answer within {_ANSWER_SECONDS:.0f} seconds.") from None
        if reply is None:
            raise SandboxEnded("The sandbox ended while it was asked.")
        reason = reply.error()
        if reason is not None:
            raise SandboxError(f"{message['op']} failed in the sandbox: {reason}.")
        return reply

    async def throttle_spawns(self) -> None:
        """Wait, every few spawns, until the agent has caught up.

        The agent forks one program after another and answers nothing meanwhile: behind a thousand queued spawns, any
        other request would time out.
        """
        self._spawned += 1
        if self._spawned % SPAWNS_AT_ONCE == 0:
            _, pong = await self.channel.ask({"op": "ping"})
            if await pong is None:
                raise SandboxEnded("The sandbox ended while it was asked.")

    async def end(self) -> None:
        """End every process and wait until they are gone."""
        self.asked_to_end = True
        self.channel.close()
        await self.ending.wait(_ANSWER_SECONDS)


class AgentProcess:
    """A program in a sandbox, started by its agent."""

    def __init__(self, run: Run, number: int, exit_reply: asyncio.Future[Reply | None]) -> None:
        self._run = run
        self._number = number
        self._exit = exit_reply

    async def wait(self) -> int:
        """Its exit status, 0 to 255; 128 + N when signal N ended it."""
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


class AgentSandbox(ABC):
    """A sandbox with an agent; subclasses provide the disk."""

    own_processes: ClassVar[int]
    """The number of processes besides those of commands."""
    has_terminals: ClassVar[bool]
    """True if it has its own /dev/pts."""

    def __init__(self, sandbox_id: str, helper: Helper) -> None:
        self.id = sandbox_id
        self._helper = helper
        self._run: Run | None = None
        self._state_lock = asyncio.Lock()
        self._limits: Limits | None = None
        self._is_allowed: EgressPredicate | None = None
        self._ending_runs: set[asyncio.Task[None]] = set()
        self._agent_lock = asyncio.Lock()
        """Held during a request to the agent, and throughout a snapshot, so that nothing is started meanwhile."""

    @abstractmethod
    async def _prepare(self) -> Message:
        """Prepare the disk; returns the fields of the start request."""

    @abstractmethod
    async def _copy_disk(self, layer: str) -> tuple[str, ...]:
        """Copy the disk as a layer, while its processes are stopped or paused."""

    @abstractmethod
    async def _freeze_disk(self, layer: str) -> tuple[str, ...]:
        """Turn the disk into a layer; the sandbox has no processes that write to it."""

    @abstractmethod
    async def _remove_work_folders(self) -> None:
        """Delete work folders left by freezing the disk, once no earlier run needs them."""

    @abstractmethod
    async def _remove_disk(self) -> None:
        """Delete the sandbox's disk and everything stored with it."""

    @abstractmethod
    def _own_disk(self) -> Path:
        """The folder that the sandbox writes to."""

    @abstractmethod
    def _environment(self, user: User) -> dict[str, str]:
        """The default environment of this user's programs."""

    @abstractmethod
    def path(self, path: str) -> str:
        """Translate a path of the file API to the one that processes inside use."""

    async def start(self) -> None:
        """Start the sandbox; does nothing if it is running."""
        async with self._state_lock:
            if self._run is not None and not self._run.ending.done():
                return
            await self._end()
            await self._begin()

    async def _begin(self) -> None:
        channel, ending = await self._helper.launch({**await self._prepare(), **self._confinement()})
        try:
            greeting = await link.wait_until_ready(channel, "The sandbox")
            self._read_greeting(greeting)
        except BaseException:
            channel.close()
            await asyncio.shield(ending.wait(_ANSWER_SECONDS))
            raise
        self._run = Run(channel, ending)
        await self._complete_start(self._run)

    def limit(self, limits: Limits) -> None:
        """Set its resource limits from its next start on."""
        self._limits = limits

    def restrict(self, is_allowed: EgressPredicate | None) -> None:
        """Restrict its outgoing connections from its next start on."""
        self._is_allowed = is_allowed

    def _confinement(self) -> Message:
        groups = self._helper.groups
        nice = 0 if groups.has("cpu") else _NICE
        if self._limits is None:
            return {"nice": nice}
        try:
            return {"nice": nice, "groups": groups.make(self.id, self._limits)}
        except OSError as error:
            raise SandboxError(f"The limits of sandbox {self.id} cannot be set: {error.strerror}.") from error

    async def load(self) -> Load:
        """Its current use of resources; after its end, the last figures of its control group."""
        counted = self._helper.groups.load(self.id) if self._limits is not None else None
        if counted is not None:
            return replace(counted, processes=max(0, counted.processes - self.own_processes))
        async with self._agent_lock:
            reply = await self._running().ask({"op": "load"})
        return Load(reply.number("memory"), reply.number("processes"))

    async def disk_bytes(self) -> int:
        """The size of its own disk, without the layers below it."""
        return await disks.used_bytes(self._own_disk())

    def _read_greeting(self, greeting: Reply) -> None:  # noqa: B027 - optional
        """Read the agent's first message."""

    async def _complete_start(self, run: Run) -> None:  # noqa: B027 - optional
        """Complete a run whose agent has just started."""

    def _running(self) -> Run:
        if self._run is None or self._run.ending.done():
            raise SandboxEnded(f"Sandbox {self.id} is not running.")
        return self._run

    async def spawn(self, command: Command, *, stdin: int, stdout: int, stderr: int) -> AgentProcess:
        """Start a program on three descriptors. The caller keeps its own copies and closes them."""
        return await self._spawn(self._spawn_request(command), [stdin, stdout, stderr])

    def _spawn_request(self, command: Command) -> Message:
        environment = self._environment(command.user)
        return {
            "op": "spawn",
            "argv": command.argv,
            "user": command.user,
            "cwd": command.cwd or environment["HOME"],
            "env": {**environment, **command.env},
        }

    async def _spawn(self, request: Message, standard: list[int]) -> AgentProcess:
        async with self._agent_lock:
            run = self._running()
            await run.throttle_spawns()
            number, exit_reply = await run.channel.ask(request, standard)
        return AgentProcess(run, number, exit_reply)

    async def spawn_on_terminal(self, command: Command, *, rows: int, cols: int) -> tuple[AgentProcess, int]:
        """Start a program on a new pseudo-terminal; returns the process and the descriptor of the master."""
        request = self._spawn_request(command)
        if self.has_terminals:
            return await self._spawn_opening({**request, "terminal": {"open": True, "rows": rows, "cols": cols}})
        return await self._spawn_given({**request, "terminal": {"open": False, "rows": rows, "cols": cols}})

    async def _spawn_opening(self, request: Message) -> tuple[AgentProcess, int]:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await self._spawn(request, [theirs.fileno()] * 3)
            try:
                return process, await link.take_terminal(ours, _ANSWER_SECONDS)
            except BaseException:
                await process.signal(signal.SIGKILL)
                raise

    async def _spawn_given(self, request: Message) -> tuple[AgentProcess, int]:
        control, given = os.openpty()
        try:
            return await self._spawn(request, [given] * 3), link.checked_terminal(control)
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
            raise refusal from None

    async def _dial(self, port: int, host: str) -> socket.socket:
        async with self._agent_lock:
            sock = link.take_socket(
                await self._running().ask({"op": "dial", "port": port, "host": host}, max_descriptors=1)
            )
        try:
            await link.connected(sock, _ANSWER_SECONDS)
        except BaseException:
            sock.close()
            raise
        return sock

    async def ended(self) -> None:
        """Wait until the sandbox has ended without having been asked to."""
        run: Run | None = self._running()
        while run is not None:
            await run.ending.wait()
            if not run.asked_to_end:
                return
            run = await asyncio.shield(run.next)

    async def snapshot(self, layer: str) -> tuple[str, ...]:
        """Freeze the disk as the new layer `layer`; returns the layers to create a sandbox from, top first.

        If nothing runs in the sandbox, this takes the same time for any size of disk. Otherwise its open files could
        still write into the frozen disk, so all processes are paused and the disk is copied.
        """
        try:
            async with self._agent_lock, self._state_lock:
                return await self._snapshot(layer)
        except OSError as error:
            raise SandboxError(f"The disk of sandbox {self.id} cannot be kept: {error.strerror}.") from error

    async def _snapshot(self, layer: str) -> tuple[str, ...]:
        run = self._run
        if run is None or run.ending.done():
            return await self._freeze_disk(layer)
        if (await run.ask({"op": "idle"})).status() == 0:
            return await self._freeze_between(run, layer)
        await run.ask({"op": "all", "number": signal.SIGSTOP})
        try:
            return await self._copy_disk(layer)
        finally:
            await run.ask({"op": "all", "number": signal.SIGCONT})

    async def _freeze_between(self, run: Run, layer: str) -> tuple[str, ...]:
        """Freeze the disk between two runs of an idle sandbox, where nothing can notice the restart.

        The end of the first run is not awaited: it can do nothing more, but the kernel may take a while to unmount it.
        """
        try:
            layers = await self._freeze_disk(layer)
        except BaseException:
            await self._end()  # its upper layer may be frozen already
            await self._restart(run)
            raise
        self._run = None
        try:
            await self._restart(run)
        finally:
            leaving = asyncio.create_task(self._end_run(run))
            self._ending_runs.add(leaving)
            leaving.add_done_callback(self._ending_runs.discard)
        return layers

    async def _restart(self, run: Run) -> None:
        try:
            await self._begin()
        finally:
            run.next.set_result(self._run)

    async def _end_run(self, run: Run) -> None:
        await run.end()
        await self._remove_work_folders()

    async def stop(self) -> None:
        """End every process; keep the disk."""
        async with self._state_lock:
            await self._end()

    async def _end(self) -> None:
        # The group is killed before the agent is awaited, and removed last: a group with processes cannot be removed,
        # and mount points stay busy until every run that uses them has ended.
        if self._run is not None:
            self._helper.groups.end(self.id)
            await self._run.end()
            self._run = None
        if self._ending_runs:
            await asyncio.wait(self._ending_runs)
        self._helper.groups.remove(self.id)
        await self._clean_up_mounts()

    async def _clean_up_mounts(self) -> None:  # noqa: B027 - optional
        """Delete what mounts have left on disk, once no run needs it."""

    async def destroy(self) -> None:
        """End every process and remove the disk."""
        async with self._state_lock:
            await self._end()
            await self._remove_disk()
