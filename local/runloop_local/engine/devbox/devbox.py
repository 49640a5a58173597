"""One devbox: carries out the moves that `lifecycle` allows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..storage.idempotency import NO_REQUEST
from . import lifecycle
from .disk import Disk
from .expiry_timer import ExpiryTimer
from .launcher import Launcher
from .processes import Processes
from .supervisor import Supervisor

if TYPE_CHECKING:
    from ..storage.idempotency import Attempt
    from .lifecycle import DevboxRecord, ShutdownReason, Status
    from .runtime import Runtime
    from .services import DevboxServices
    from .state import DevboxState

OWNER_ENDED = "the kernel that created it has ended"


class Devbox:
    """A devbox: its state, its disk and its processes, brought from one status to the next."""

    def __init__(self, state: DevboxState, services: DevboxServices) -> None:
        flow = services.fair_queue.flow(state.record.id)
        self.state = state
        self.disk = Disk(state, services.isolation, services.disk_problems)
        self._timer = ExpiryTimer(state, services.kernels)
        self.processes = Processes(state, self._timer, flow)
        self._provisioner = services.provisioner
        self._launcher = Launcher(state, self.disk, flow, services)
        self._supervisor = Supervisor(state, self.disk, self.processes, self._timer, services)
        self._waking = asyncio.Lock()

    @property
    def record(self) -> DevboxRecord:
        """The record as it is now."""
        return self.state.record

    @property
    def status(self) -> Status:
        """The current status."""
        return self.state.status

    def launch(self) -> None:
        """Bring a queued devbox to running, in the background."""
        self.state.begin()
        self._supervisor.begin(self._launch())

    async def suspend(self, attempt: Attempt = NO_REQUEST) -> None:
        """Begin to suspend it: its processes end, its disk stays."""
        runtime = self.processes.require("suspend it")
        await self.state.move("suspending", notes=attempt.note(self.record.id))
        self._supervisor.begin(self._suspend(runtime))

    async def resume(self) -> None:
        """Begin to resume it from the disk that was kept."""
        lifecycle.require(self.record, "suspended", "resume it")
        # Before the move: what goes wrong after it makes a failed devbox, which nobody can resume any more.
        self.disk.require_there()
        await self._provisioner.require(self.record)  # rather not resumed than failed for a lost secret
        await self.state.move("resuming")
        self._supervisor.begin(self._resume())

    async def wake(self, timeout: float) -> bool:
        """Bring a suspended devbox back to running; False if it does not run after `timeout` seconds."""
        await self.state.wait(frozenset({"running", "suspended", *lifecycle.TERMINAL}), timeout)
        async with self._waking:  # or the second of two requests would be refused, as it is resuming already
            if self.status == "suspended":
                await self.resume()
        return await self.state.wait(frozenset({"running", *lifecycle.TERMINAL}), timeout) and self.status == "running"

    async def keep_alive(self) -> None:
        """Start the time anew after which it ends by itself."""
        lifecycle.require(self.record, "running", "keep it alive")
        self.processes.touch()

    async def shutdown(self, reason: ShutdownReason, sentence: str | None = None) -> None:
        """End its processes and remove its disk. Repeating it is not an error. `sentence` says why, for its history."""
        await self._supervisor.shutdown(reason, sentence)

    async def end_with_owner(self) -> None:
        """End it because the kernel that it belongs to has ended."""
        # Guarded: nobody waits for this, so what goes wrong must become the devbox's own state.
        await self._supervisor.guard(self.shutdown("keep_alive_timeout", OWNER_ENDED))

    async def close(self) -> None:
        """End its processes because the service stops; the next start finds it suspended."""
        await self._supervisor.close()

    async def remove_disk(self) -> None:
        """Remove the disk that it has left, as it has ended."""
        await self._supervisor.destroy()

    async def _launch(self) -> None:
        await self.state.advance("provisioning")
        await self._launcher.choose_disk()
        runtime = await self._start()
        await self.state.advance("initializing")
        await self._launcher.provision(runtime)
        await self._launcher.run_launch_commands(runtime)
        await self._run(runtime)

    async def _resume(self) -> None:
        runtime = await self._start()
        await self._launcher.run_launch_commands(runtime)
        await self._run(runtime)

    async def _start(self) -> Runtime:
        # Limits are watched from here on: a launch command may use up the disk as any other does.
        runtime = await self._launcher.start(self._supervisor.end_for)
        self.processes.begin(runtime)
        self._supervisor.watch(runtime)
        return runtime

    async def _run(self, runtime: Runtime) -> None:
        # The timer starts after the move: the time that a launch takes counts for nobody's idleness.
        await self.state.advance("running")
        self._timer.start(self.processes.is_busy, lambda: self._supervisor.react(self._expire()))
        if self.record.entrypoint is not None:
            await runtime.run(self.record.entrypoint, "entrypoint")
            # Not if it was suspended meanwhile, or runs again: then this entrypoint was ended by that, and is not the
            # present one.
            if self.status == "running" and self.processes.is_current(runtime):
                await self.shutdown("entrypoint_exit")

    async def _suspend(self, runtime: Runtime) -> None:
        # First, or an idle time that is over now would end what is being suspended.
        self._supervisor.retire()
        await self._launcher.run_suspend_commands(runtime)
        await self.processes.stop()
        # Last: whoever sees it suspended may resume it at once, in the same sandbox.
        await self.state.advance("suspended")

    async def _expire(self) -> None:
        """End it, or suspend it, as its time is over."""
        rule = self.record.after_idle
        if rule is None:
            await self.shutdown("keep_alive_timeout")
        elif self.status != "running":
            return  # somebody was faster
        elif rule.get("on_idle") == "suspend":
            await self.suspend()
        else:
            await self.shutdown("idle")
