"""The start of a devbox: its sandbox, what it is given, and its launch commands."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ...sandbox import shells
from ...sandbox.base import Command
from ..errors import InvalidError
from .execution_manager import ExecutionContext, ExecutionManager
from .files import Files, whole
from .limits import LimitMonitor, size_of
from .pty import Terminals
from .runtime import Runtime
from .supervisor import holder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...sandbox.base import Limits, Sandbox
    from ..fair_queue import Flow
    from .disk import Disk
    from .limits import LimitViolation
    from .services import DevboxServices
    from .state import DevboxState

SUSPEND_DEADLINE_MS = 30_000


class Launcher:
    """Starts one devbox. Each step raises `SupersededError` once the devbox has ended meanwhile."""

    def __init__(self, state: DevboxState, disk: Disk, flow: Flow, services: DevboxServices) -> None:
        self._state = state
        self._disk = disk
        self._flow = flow
        self._services = services

    async def choose_disk(self) -> None:
        """Give the standard image to a new devbox that names no disk; raises `InvalidError` if it cannot be had."""
        record, standard = self._state.record, self._services.standard_image
        if standard is None or record.snapshot_id is not None or record.blueprint_id is not None:
            return
        disk = await standard.disk()
        self._state.require_live()
        self._services.layers.hold(holder_of(record.id), disk.layers)
        self._state.note(layers=disk.layers, image=disk.image)

    async def start(self, on_violation: Callable[[LimitViolation], None]) -> Runtime:
        """Make the sandbox, or take the disk up again, and start it."""
        provisioner = self._services.provisioner
        sandbox = await self._disk.sandbox()
        limits = self._limits()
        # Limits and network rules before the start: no process may run for a moment without them.
        sandbox.limit(limits)
        sandbox.restrict(await provisioner.reach(self._state.record))
        context = self._context(sandbox, await provisioner.environment(self._state.record))
        # The devbox may end in any of these waits. Its end removes the disk only after this work, so to raise is
        # enough.
        await sandbox.start()
        self._state.require_live()
        history = self._services.history
        limit_monitor = LimitMonitor(
            sandbox,
            limits,
            str(history.folder.parent),
            on_violation,
            printed=partial(history.output_bytes_of, self._state.record.id),
        )
        return Runtime(
            sandbox,
            ExecutionManager(sandbox, context, self._services.store, history, limit_monitor.why_killed),
            Terminals(sandbox, _login(context), self._services.pty_idle_ttl),
            limit_monitor,
        )

    def _limits(self) -> Limits:
        size, machine = size_of(self._state.record.launch_parameters), self._services.machine
        if (shortage := machine.shortage(size)) is not None:
            self._services.size_notes["sizes"] = shortage
        return machine.limits(size)

    async def provision(self, runtime: Runtime) -> None:
        """Put files, objects and repositories into a new devbox."""
        record = self._state.record
        files = Files(runtime.sandbox, record.user, self._flow)
        for path, content in record.file_mounts.items():
            await files.write(path, whole(content.encode()))
            self._state.require_live()
        await self._services.provisioner.furnish(record, files, runtime.execution_manager)
        self._state.require_live()

    async def run_launch_commands(self, runtime: Runtime) -> None:
        """Run them one after the other; raises `InvalidError` if one fails."""
        for command in self._state.record.launch_parameters.get("launch_commands") or ():
            code = await runtime.run(command, "setup_commands")
            self._state.require_live()
            if code:
                raise InvalidError(f"The launch command {command!r} ended with exit status {code}.")

    async def run_suspend_commands(self, runtime: Runtime) -> None:
        """Run what is to be done before a suspend; neither a failure nor the end of its time prevents the suspend."""
        hooks = self._state.record.lifecycle_rules.get("lifecycle_hooks") or {}
        try:
            async with asyncio.timeout(hooks.get("suspend_deadline_ms", SUSPEND_DEADLINE_MS) / 1000):
                for command in hooks.get("suspend_commands") or ():
                    self._state.require_live()
                    await runtime.run(command, "setup_commands")
        except TimeoutError:
            return

    def _context(self, sandbox: Sandbox, secrets: Mapping[str, str]) -> ExecutionContext:
        record = self._state.record
        image = record.image
        # Each overrides those before it: the user's own variables those of the image, and secrets all.
        env = {**image.env, **record.environment_variables, **secrets}
        cwd = None if image.cwd is None else sandbox.path(image.cwd)
        return ExecutionContext(record.id, record.user, env, self._flow, cwd)


def _login(context: ExecutionContext) -> Command:
    """The shell of a terminal."""
    env = {"TERM": "xterm-256color", **context.env}
    return Command((shells.LOGIN, "-l"), context.user, context.cwd, env)
