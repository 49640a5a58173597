"""One devbox: carries out the moves that `lifecycle` allows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..sandbox.base import Command, SandboxError
from . import lifecycle
from .bell import Bell
from .errors import DiskFullError, EngineError, InvalidError, of_machine
from .expiry import Expiry
from .files import Files, whole
from .ids import new_id, now_ms
from .image import loaded as loaded_image
from .lifecycle import DevboxRecord, Transition
from .limits import Guard, size_of
from .pty import IDLE_TTL_S, Terminals
from .store import Document
from .tunnels import Tunnel
from .tunnels import loaded as loaded_tunnel
from .views import devbox_view
from .waiting import wait_until
from .workload import Order, Setting, Workload

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from ..sandbox.base import Isolation, Sandbox, User
    from .execution import Execution
    from .furnishing import Furnishing
    from .layers import Layers
    from .lifecycle import FailureReason, ShutdownReason, Status
    from .limits import Excess
    from .store import Store

DEFAULT_KEEP_ALIVE_S = 3600
MAX_KEEP_ALIVE_S = 48 * 3600
SUSPEND_DEADLINE_MS = 30_000
_ALREADY_SO = lifecycle.TERMINAL | {"suspended"}
"""What a full disk, on which it cannot be kept, does not undo; a restart comes to the same."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all devboxes of a service stand on."""

    isolation: Isolation
    store: Store
    logs: Path
    login_shell: str
    layers: Layers
    furnishing: Furnishing
    pty_idle_ttl: float = IDLE_TTL_S
    """Seconds that a terminal outlives its client."""


class _SupersededError(Exception):
    """Someone else has moved the devbox on meanwhile; leave it to them."""


class _LaunchError(Exception):
    """A devbox cannot get ready: one sentence."""


class Devbox:
    """A devbox, and everything that runs in it."""

    def __init__(self, record: DevboxRecord, ground: Ground) -> None:
        self.record = record
        self._bell = Bell()
        self._ground = ground
        self._sandbox: Sandbox | None = None
        self._workload: Workload | None = None
        self._latest: Workload | None = None  # the same, still there while it ends
        self._terminals: Terminals | None = None
        self._guard: Guard | None = None
        self._waking = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._expiry: Expiry | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._is_kept = True

    @property
    def status(self) -> Status:
        """Where it is now."""
        return self.record.status

    @property
    def gone(self) -> bool:
        """Whether it has ended and nothing is left of it but its record."""
        return self.status in lifecycle.TERMINAL and not self.record.has_disk

    @property
    def user(self) -> User:
        """Whose processes its commands are."""
        chosen = self.record.launch_parameters.get("user_parameters")
        if chosen is None:
            return self.record.image.account
        return "root" if chosen.get("username") == "root" or chosen.get("uid") == 0 else "user"

    def launch(self) -> None:
        """Bring a queued devbox to running, in the background."""
        self._begin(self._launch())

    async def suspend(self) -> None:
        """Begin to suspend it: processes end, the disk stays."""
        lifecycle.require(self.record, "running", "suspend it")
        await self._move("suspending")
        self._begin(self._suspend())

    async def resume(self) -> None:
        """Begin to resume it from the disk that was kept."""
        lifecycle.require(self.record, "suspended", "resume it")
        await self._ground.furnishing.require(self.record)  # rather not resumed than failed for a lost secret
        await self._move("resuming")
        self._begin(self._resume())

    async def shutdown(self, reason: ShutdownReason) -> None:
        """End it for good: processes and disk. Once more is no error."""
        try:
            if self.status != "shutdown":
                await self._move("shutdown", shutdown_reason=reason)
        finally:
            await self._destroy()

    async def close(self) -> None:
        """End its processes because the service stops; at the next start it is suspended."""
        self._retire()
        await self._stop()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    async def remove_disk(self) -> None:
        """Remove the disk that an ended devbox of an earlier service has left."""
        await self._disk()
        await self._destroy()

    async def keep_alive(self) -> None:
        """Start the time after which it ends by itself anew."""
        lifecycle.require(self.record, "running", "keep it alive")
        self.touch()

    async def open_tunnel(self, tunnel: Tunnel) -> None:
        """Let requests in, by this tunnel."""
        lifecycle.require(self.record, "running", "open its tunnel")
        if self.record.tunnel is not None:
            raise InvalidError(f"Devbox {self.record.id} has a tunnel already: remove it first.")
        await self.update(tunnel=tunnel)

    async def close_tunnel(self) -> None:
        """Let no request in any more. Once more is no error."""
        await self.update(tunnel=None)

    async def dial(self, port: int) -> socket.socket:
        """A non-blocking connection to one of its ports; `SandboxError` where nothing listens."""
        lifecycle.require(self.record, "running", "connect to it")
        assert self._sandbox is not None
        return await self._sandbox.dial(port)

    async def wake(self, timeout: float) -> bool:
        """Bring a suspended devbox back to running; False if it does not run after `timeout` seconds."""
        await self.wait(frozenset({"running", "suspended", *lifecycle.TERMINAL}), timeout)
        async with self._waking:
            if self.status == "suspended":
                await self.resume()
        return await self.wait(frozenset({"running", *lifecycle.TERMINAL}), timeout) and self.status == "running"

    def touch(self) -> None:
        """Somebody uses it: its time starts anew."""
        self._notice()
        if self._expiry is not None:
            self._expiry.touch()

    def terminals(self) -> Terminals:
        """Its terminal sessions."""
        self._running("use its terminals")
        assert self._terminals is not None
        return self._terminals

    async def update(self, **changes: Any) -> None:
        """Give it another name or other metadata."""
        # Kept first: a change that does not fit on the disk must not spoil what is kept later.
        await self._ground.store.put(document(replace(self.record, **changes)))
        self.record = replace(self.record, **changes)

    async def wait(self, statuses: frozenset[str], timeout: float) -> bool:
        """True once its status is one of `statuses`, False after `timeout` seconds."""
        return await wait_until(self._bell, lambda: self.status in statuses, timeout)

    def files(self) -> Files:
        """Its file operations."""
        self._running("use its files")
        assert self._sandbox is not None
        return Files(self._sandbox, self.user)

    def require_disk(self, action: str) -> None:
        """`InvalidError` unless it runs or is suspended, which `action` needs."""
        if self.status not in ("running", "suspended"):
            raise InvalidError(
                f"Devbox {self.record.id} is {self.status}; to {action} it must be running or suspended."
            )

    async def save_disk(self, layer: str) -> tuple[str, ...]:
        """Freeze the disk as the new layer `layer`; the layers to start another devbox from, top first."""
        self.require_disk("save its disk")
        return await (await self._disk()).snapshot(layer)

    async def execute(self, order: Order) -> Execution:
        """Start a command; the id of one that runs is that one."""
        return await self._running("run a command").start(order)

    def execution(self, execution_id: str) -> Execution | None:
        """A queued or running execution."""
        return None if self._latest is None else self._latest.get(execution_id)

    async def save(self) -> None:
        """Keep the record as it is now."""
        await self._ground.store.put(document(self.record))
        self._is_kept = True

    def _running(self, action: str) -> Workload:
        lifecycle.require(self.record, "running", action)
        assert self._workload is not None
        if self._expiry is not None and _after_idle(self.record):
            self._expiry.touch()
        self._notice()
        return self._workload

    def _notice(self) -> None:
        if self._guard is not None:
            self._guard.notice()

    async def _move(self, status: Status, reason: str | None = None, **changes: Any) -> None:
        before = self.record
        self.record = moved = lifecycle.move(replace(before, **changes), status, now_ms(), reason)
        try:
            await self.save()
        except DiskFullError:
            if status in _ALREADY_SO:
                self._is_kept = False
                return
            if self.record is moved:
                self.record = before
            raise
        finally:
            self._bell.ring()

    async def _advance(self, status: Status) -> None:
        """The next step of the background work, unless the devbox has ended meanwhile."""
        self._check()
        await self._move(status)
        self._check()

    def _check(self) -> None:
        if self.status in lifecycle.TERMINAL:
            raise _SupersededError

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = asyncio.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except _SupersededError:
            return
        except DiskFullError as error:
            await self._fail(str(error), "out_of_disk")
        except (_LaunchError, SandboxError, EngineError) as error:
            await self._fail(str(error))
        except (OSError, RuntimeError) as error:
            await self._fail(str(of_machine(error) or error))

    async def _launch(self) -> None:
        await self._advance("provisioning")
        await self._start()
        await self._advance("initializing")
        for path, content in self.record.file_mounts.items():
            await self._mount(path, content)
        await self._furnish()
        await self._set_up()
        await self._run()

    async def _start(self) -> None:
        """Make the sandbox, or take its disk up again, and start it."""
        sandbox = await self._disk()
        limits = size_of(self.record.launch_parameters).limits()
        sandbox.limit(limits)
        sandbox.restrict(await self._ground.furnishing.reach(self.record))
        await sandbox.start()
        self._check()
        self._guard = Guard(sandbox, limits, str(self._ground.logs.parent), self._on_excess)
        self._guard.notice()
        setting = self._setting(await self._ground.furnishing.environment(self.record))
        self._workload = self._latest = Workload(sandbox, setting, self._ground.store)
        self._terminals = Terminals(sandbox, _login(setting), self._ground.pty_idle_ttl)
        self._watch = asyncio.create_task(self._watch_end(sandbox))

    async def _disk(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = await self._ground.isolation.create(self.record.id, layers=self.record.layers)
            self.record = replace(self.record, has_disk=True)
        return self._sandbox

    def _setting(self, secrets: Mapping[str, str]) -> Setting:
        logs = self._ground.logs / self.record.id
        image = self.record.image
        env = {**image.env, **self.record.environment_variables, **secrets}
        assert self._sandbox is not None
        cwd = None if image.cwd is None else self._sandbox.path(image.cwd)
        return Setting(self.record.id, self.user, env, self._ground.login_shell, logs, cwd)

    async def _mount(self, path: str, content: str) -> None:
        assert self._sandbox is not None
        await Files(self._sandbox, self.user).write(path, whole(content.encode()))
        self._check()

    async def _furnish(self) -> None:
        assert self._sandbox is not None
        assert self._workload is not None
        await self._ground.furnishing.furnish(self.record, Files(self._sandbox, self.user), self._workload)
        self._check()

    async def _set_up(self) -> None:
        assert self._workload is not None
        for command in self.record.launch_parameters.get("launch_commands") or ():
            code = await self._workload.run(Order(command, new_id("exec"), source="setup_commands"))
            self._check()
            if code:
                raise _LaunchError(f"The launch command {command!r} ended with exit status {code}.")

    async def _run(self) -> None:
        await self._advance("running")
        self._set_expiry()
        if self.record.entrypoint is not None:
            await self._enter(self.record.entrypoint)

    async def _enter(self, entrypoint: str) -> None:
        """Run the entrypoint; the devbox ends with it."""
        workload = self._workload
        assert workload is not None
        await workload.run(Order(entrypoint, new_id("exec"), source="entrypoint"))
        if self.status == "running" and workload is self._workload:
            await self._move("shutdown", shutdown_reason="entrypoint_exit")
            await self._destroy()

    async def _suspend(self) -> None:
        self._retire()
        await self._run_last_commands()
        await self._stop()
        await self._advance("suspended")

    async def _run_last_commands(self) -> None:
        """What is to be done before the processes end; neither a failure nor the time's end keeps them from it."""
        hooks = (self.record.launch_parameters.get("lifecycle") or {}).get("lifecycle_hooks") or {}
        workload = self._workload
        assert workload is not None
        try:
            async with asyncio.timeout(hooks.get("suspend_deadline_ms", SUSPEND_DEADLINE_MS) / 1000):
                for command in hooks.get("suspend_commands") or ():
                    await workload.run(Order(command, new_id("exec"), source="setup_commands"))
        except TimeoutError:
            return

    async def _resume(self) -> None:
        await self._start()
        await self._set_up()
        await self._run()

    async def _watch_end(self, sandbox: Sandbox) -> None:
        await sandbox.ended()
        if self.status in ("initializing", "running", "resuming"):
            excess = await self._guard.memory() if self._guard is not None else None
            if excess is not None:
                await self._fail(excess.sentence, excess.reason)
            else:
                await self._fail("The devbox ended on its own: its first process is gone.")

    async def _fail(self, sentence: str, reason: FailureReason = "execution_failed") -> None:
        if self.status in lifecycle.TERMINAL:
            return
        try:
            await self._move("failure", sentence, failure_reason=reason)
        finally:
            await self._destroy()

    def _set_expiry(self) -> None:
        idle = _after_idle(self.record)
        if idle is not None:
            self._expiry = Expiry(float(idle["idle_time_seconds"]), self._on_idle, self._is_busy)
        else:
            asked = self.record.launch_parameters.get("keep_alive_time_seconds")
            self._expiry = Expiry(float(asked or DEFAULT_KEEP_ALIVE_S), self._on_expiry)

    def _is_busy(self) -> bool:
        return any(part is not None and part.busy for part in (self._workload, self._terminals))

    def _on_expiry(self) -> None:
        self._alarm = asyncio.create_task(self._guarded(self.shutdown("keep_alive_timeout")))

    def _on_excess(self, excess: Excess) -> None:
        self._alarm = asyncio.create_task(self._guarded(self._fail(excess.sentence, excess.reason)))

    def _on_idle(self) -> None:
        self._alarm = asyncio.create_task(self._guarded(self._end_idleness()))

    async def _end_idleness(self) -> None:
        idle = _after_idle(self.record) or {}
        if self.status != "running":
            return  # somebody was faster
        if idle.get("on_idle") == "suspend":
            await self.suspend()
        else:
            await self.shutdown("idle")

    def _retire(self) -> None:
        """No timer and no watcher acts from here on."""
        if self._guard is not None:
            self._guard.end()
            self._guard = None
        if self._expiry is not None:
            self._expiry.cancel()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()

    async def _stop(self) -> None:
        """End the processes of a started sandbox."""
        workload, self._workload = self._workload, None
        terminals, self._terminals = self._terminals, None
        if terminals is not None:
            terminals.end()
        if workload is not None and self._sandbox is not None:
            await self._sandbox.stop()
            await workload.end()

    async def _destroy(self) -> None:
        """End the processes, then the background work that waited for them, then the disk."""
        self._retire()
        await self._stop()
        if self._work is not None and self._work is not asyncio.current_task():
            await asyncio.wait({self._work})
        # One that an earlier service has left suspended has a disk, and no sandbox was made for it yet.
        sandbox = await self._disk() if self.record.has_disk else self._sandbox
        self._sandbox = None
        if sandbox is not None:
            await sandbox.destroy()
        if self.record.has_disk or not self._is_kept:
            await self.update(has_disk=False)  # there is room now
            self._ground.layers.sweep_soon()


def document(record: DevboxRecord) -> Document:
    """A devbox as the store keeps it."""
    view = json.dumps(devbox_view(record), ensure_ascii=False)
    return Document(
        "devbox",
        record.id,
        asdict(record),
        status=record.status,
        name=record.name or "",
        time_ms=record.end_time_ms or record.create_time_ms,
        view=view,
    )


def loaded(body: dict[str, Any]) -> DevboxRecord:
    """The record from its stored form."""
    transitions = tuple(Transition(**transition) for transition in body.pop("transitions"))
    image = loaded_image(body.pop("image", None))
    tunnel = loaded_tunnel(body.pop("tunnel", None))
    rest = {**body, "layers": tuple(body["layers"]), "code_mounts": tuple(body.get("code_mounts", ()))}
    return DevboxRecord(transitions=transitions, image=image, tunnel=tunnel, **rest)


def _login(setting: Setting) -> Command:
    """The shell of a terminal."""
    env = {"TERM": "xterm-256color", **setting.env}
    return Command((setting.login_shell, "-l"), setting.user, setting.cwd, env)


def _after_idle(record: DevboxRecord) -> dict[str, Any] | None:
    parameters = record.launch_parameters
    rule: dict[str, Any] | None = parameters.get("after_idle") or (parameters.get("lifecycle") or {}).get("after_idle")
    return rule
