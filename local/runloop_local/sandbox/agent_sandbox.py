"""A sandbox that is controlled through its agent, in any kind of isolation."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, get_args

from runloop_local.sandbox import link
from runloop_local.sandbox.base import SandboxEnded, SandboxError, User
from runloop_local.sandbox.running import ANSWER_SECONDS, AgentClient, Run

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Any

    from runloop_local.sandbox.backend import SandboxBackend
    from runloop_local.sandbox.base import Command, EgressPredicate, Limits, Load, Mount
    from runloop_local.sandbox.cgroups import ControlGroups
    from runloop_local.sandbox.frames import Message
    from runloop_local.sandbox.link import Helper
    from runloop_local.sandbox.running import AgentProcess

_OF_ACCOUNT = ("HOME", "USER", "LOGNAME")
_NICE = 5
"""The nice level of commands where no control group weighs their CPU time."""


class AgentSandbox:
    """A sandbox: starts and stops its agent, and takes snapshots of its disk between or during runs."""

    def __init__(self, sandbox_id: str, helper: Helper, backend: SandboxBackend) -> None:
        self.id = sandbox_id
        self._helper = helper
        self._backend = backend
        self._agent = AgentClient(sandbox_id, has_terminals=backend.has_terminals)
        self._state_lock = asyncio.Lock()
        self._limits: Limits | None = None
        self._is_allowed: EgressPredicate | None = None
        self._after_snapshots: set[asyncio.Task[None]] = set()
        """Runs that a snapshot has ended or begun, on their way."""

    def path(self, path: str) -> str:
        """Translate a path of the file API to the one that processes inside use."""
        return self._backend.path(path)

    def mount(self, wanted: Sequence[Mount]) -> None:
        """Set its mounts from its next start on; raises SandboxError where they are not supported."""
        self._backend.mount(wanted)

    async def start(self) -> None:
        """Start the sandbox; does nothing if it is running."""
        async with self._state_lock:
            if self._agent.run is not None and not self._agent.run.ending.done():
                return
            # A run that ended by itself has left a channel, a control group and mount points.
            await self._end()
            await self._begin()

    async def _begin(self) -> None:
        prepared = await self._backend.prepare(self._limits)
        confinement = _confinement(self._helper.groups, self.id, self._limits)
        channel, ending = await self._helper.launch({**prepared, **confinement})
        try:
            greeting = await link.wait_until_ready(channel, "The sandbox")
            self._backend.read_greeting(greeting)
        except BaseException:
            channel.close()
            # Even if the start is cancelled: the next one must not find processes of this one on the disk.
            await asyncio.shield(ending.wait(ANSWER_SECONDS))
            raise
        # From here on requests reach it; the proxy, which needs one of them, is part of the start.
        self._agent.run = Run(channel, ending)
        await self._backend.complete_start(self._agent.run, self._is_allowed)

    def limit(self, limits: Limits) -> None:
        """Set its resource limits from its next start on."""
        self._limits = limits

    def restrict(self, is_allowed: EgressPredicate | None) -> None:
        """Restrict its outgoing connections from its next start on."""
        self._is_allowed = is_allowed

    async def load(self) -> Load:
        """Its current use of resources; after its end, the last figures of its control group."""
        counted = self._helper.groups.load(self.id) if self._limits is not None else None
        if counted is not None:
            own = self._backend.own_processes + (0 if self._agent.run is None else self._agent.run.channel.agents)
            return counted._replace(processes=max(0, counted.processes - own))
        return await self._agent.load()

    async def disk_bytes(self) -> int:
        """The size of its own disk and its mounts, without the layers below it."""
        return await self._backend.disk_bytes()

    async def spawn(self, command: Command, *, stdin: int, stdout: int, stderr: int) -> AgentProcess:
        """Start a program on three descriptors. The caller keeps its own copies and closes them."""
        return await self._agent.spawn(_spawn_request(command, self._backend), [stdin, stdout, stderr])

    async def spawn_on_terminal(self, command: Command, *, rows: int, cols: int) -> tuple[AgentProcess, int]:
        """Start a program on a new pseudo-terminal; returns the process and the descriptor of the master."""
        return await self._agent.spawn_on_terminal(_spawn_request(command, self._backend), rows=rows, cols=cols)

    async def dial(self, port: int) -> socket.socket:
        """Connect to `port` on the sandbox's localhost, by IPv4 or IPv6; returns a non-blocking TCP socket."""
        self._backend.require_open(port)
        return await self._agent.dial(port)

    async def ended(self) -> None:
        """Wait until the sandbox has ended without having been asked to; raises what kept it from going on."""
        async with self._agent.lock:  # a snapshot may be about to begin another run
            run: Run | None = self._agent.running()
        while run is not None:
            await run.ending.wait()
            if not run.asked_to_end:
                return
            # A snapshot has ended it to begin another: shielded, as several may wait for that.
            run = await asyncio.shield(run.next)

    async def snapshot(self, layer: str) -> tuple[str, ...]:
        """Freeze the disk as the new layer `layer`; returns the layers to create a sandbox from, top first.

        If nothing runs in the sandbox, this takes the same time for any size of disk, and its next run begins while the
        caller goes on. Otherwise its open files could still write into the frozen disk, so all processes are paused and
        the disk is copied.
        """
        try:
            async with AsyncExitStack() as locks:
                for lock in (self._agent.lock, self._state_lock):
                    await locks.enter_async_context(lock)
                return await self._snapshot(layer, locks)
        except OSError as error:
            raise SandboxError(f"The disk of sandbox {self.id} cannot be kept: {error.strerror}.") from error

    async def _snapshot(self, layer: str, locks: AsyncExitStack) -> tuple[str, ...]:
        run = self._agent.run
        if run is None or run.ending.done():
            return await self._backend.freeze_disk(layer)
        if (await run.ask({"op": "idle"})).status() == 0:
            return await self._freeze_between(run, layer, locks)
        # Paused, not merely copied: a file that is written meanwhile would be half of before and half of after.
        await run.ask({"op": "all", "number": signal.SIGSTOP})
        try:
            return await self._backend.copy_disk(layer)
        finally:
            await run.ask({"op": "all", "number": signal.SIGCONT})

    async def _freeze_between(self, run: Run, layer: str, locks: AsyncExitStack) -> tuple[str, ...]:
        """Freeze the disk between two runs of an idle sandbox, where nothing can notice the restart.

        The next run begins in the background, and takes over the locks: what is asked of the sandbox waits for it. The
        end of the first run is not awaited: it can do nothing more, but the kernel may take a while to unmount it.
        """
        try:
            layers = await self._backend.freeze_disk(layer)
        except BaseException:
            await self._end()  # its upper layer may be frozen already
            await self._restart(run)
            raise
        # Taken away first: if the restart fails, the sandbox counts as stopped, not as the run that has lost its disk.
        self._agent.run = None
        self._go_on(self._restart_under(locks.pop_all(), run))
        self._go_on(_end_run(run, self._backend))
        return layers

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work of a snapshot beside its caller; the end of the sandbox waits for it."""
        task = asyncio.create_task(work)
        self._after_snapshots.add(task)
        task.add_done_callback(self._after_snapshots.discard)

    async def _restart_under(self, locks: AsyncExitStack, run: Run) -> None:
        async with locks:
            # Whoever waits for the end of the sandbox gets the reason.
            with suppress(SandboxError, OSError):
                await self._restart(run)

    async def _restart(self, run: Run) -> None:
        # However it goes: whoever waits for the sandbox's end must hear that there is no next run, and why.
        try:
            await self._begin()
        except BaseException as error:
            is_told = isinstance(error, SandboxError | OSError)
            run.next.set_exception(error if is_told else SandboxEnded("The sandbox did not go on after a snapshot."))
            run.next.exception()  # nobody may be waiting
            raise
        run.next.set_result(self._agent.run)

    async def stop(self) -> None:
        """End every process; keep the disk."""
        async with self._state_lock:
            await self._end()

    async def _end(self) -> None:
        # The group is killed before the agent is awaited, and removed last: a group with processes cannot be removed,
        # and mount points stay busy until every run that uses them has ended.
        if self._agent.run is not None:
            self._helper.groups.end(self.id)
            await self._agent.run.end()
            self._agent.run = None
        if self._after_snapshots:
            await asyncio.wait(self._after_snapshots)
        self._helper.groups.remove(self.id)
        await self._backend.clean_up_mounts()

    async def destroy(self) -> None:
        """End every process and remove the disk."""
        async with self._state_lock:
            await self._end()
            await self._backend.remove_disk()


async def _end_run(run: Run, backend: SandboxBackend) -> None:
    await run.end()
    await backend.remove_work_folders()


def _confinement(groups: ControlGroups, sandbox_id: str, limits: Limits | None) -> Message:
    nice = 0 if groups.has("cpu") else _NICE
    if limits is None:
        return {"nice": nice}
    try:
        size = {"cpus": limits.cpus, "memory": limits.memory_bytes}
        return {"nice": nice, "size": size, "groups": groups.make(sandbox_id, limits)}
    except OSError as error:
        raise SandboxError(f"The limits of sandbox {sandbox_id} cannot be set: {error.strerror}.") from error


def _spawn_request(command: Command, backend: SandboxBackend) -> Message:
    environment, home = _environment(command, backend)
    return {
        "op": "spawn",
        "argv": backend.argv(command.argv),
        "user": command.user,
        "cwd": command.cwd or home,
        "env": {**environment, **command.env},
        "tool": command.is_tool,
    }


def _environment(command: Command, backend: SandboxBackend) -> tuple[Mapping[str, str], str]:
    """The default environment and folder of a command. The home of a disk's own account is known only inside."""
    for own in get_args(User):
        if command.user == own:
            environment = backend.environment(own)
            return environment, environment["HOME"]
    environment = backend.environment("root")
    return {name: value for name, value in environment.items() if name not in _OF_ACCOUNT}, "/"
