"""One devbox: carries out the moves that `lifecycle` allows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...sandbox.base import Command, SandboxError
from ..change_notifier import ChangeNotifier
from ..errors import DiskFullError, EngineError, InvalidError, StoppingError, is_disk_full, of_machine
from ..idle_timer import IdleTimer
from ..ids import new_id, now_ms
from ..storage.idempotency import NO_REQUEST
from ..storage.records import body_of, loader
from ..storage.store import Document
from ..views import devbox_view
from ..waiting import wait_until
from . import lifecycle
from .execution_manager import ExecutionContext, ExecutionManager, ExecutionRequest
from .files import Files, whole
from .lifecycle import DevboxRecord
from .limits import LimitMonitor, size_of
from .pty import IDLE_TTL_S, Terminals

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Mapping, Sequence

    from ...sandbox.base import Isolation, Sandbox, User
    from ..fair_queue import FairQueue
    from ..kernel.kernels import Kernels
    from ..storage.idempotency import Attempt
    from ..storage.layers import Layers
    from ..storage.store import Store
    from ..storage.vault import Vault
    from ..tunnel.tunnel import Tunnel
    from .execution import Execution
    from .history import History
    from .lifecycle import FailureReason, ShutdownReason, Status
    from .limits import LimitViolation
    from .provisioner import Provisioner

DEFAULT_KEEP_ALIVE_S = 3600
MAX_KEEP_ALIVE_S = 48 * 3600
SUSPEND_DEADLINE_MS = 30_000
OWNER_ENDED = "the kernel that created it has ended"
_ALREADY_SO = lifecycle.TERMINAL | {"suspended"}
"""What a full disk, on which it cannot be kept, does not undo; a restart comes to the same."""


@dataclass(frozen=True, slots=True)
class DevboxServices:
    """What all devboxes of a service stand on."""

    isolation: Isolation
    store: Store
    history: History
    login_shell: str
    layers: Layers
    provisioner: Provisioner
    kernels: Kernels
    vault: Vault
    fair_queue: FairQueue
    pty_idle_ttl: float = IDLE_TTL_S
    """Seconds that a terminal outlives its client."""


@dataclass(frozen=True, slots=True)
class _Life:
    """What there is of a devbox between a start and the stop that follows it."""

    sandbox: Sandbox
    execution_manager: ExecutionManager
    terminals: Terminals
    limit_monitor: LimitMonitor


class _SupersededError(Exception):
    """Someone else has moved the devbox on meanwhile; leave it to them."""


class _LaunchError(Exception):
    """A devbox cannot get ready: one sentence."""


class Devbox:
    """A devbox, and everything that runs in it."""

    def __init__(self, record: DevboxRecord, services: DevboxServices) -> None:
        self.record = record
        self._changed = ChangeNotifier()
        self.flow = services.fair_queue.flow(record.id)
        """Its turns to move data."""
        self._services = services
        self._sandbox: Sandbox | None = None
        self._opening = asyncio.Lock()
        """Held while its disk is opened or removed."""
        self._life: _Life | None = None
        self._latest: ExecutionManager | None = None  # that of the last life, still there while it ends
        self._waking = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._idle_timer: IdleTimer | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._is_kept = True
        self._moves = 0
        """Of those that are on their way to the store."""
        self._moved_at: float | None = None

    @property
    def status(self) -> Status:
        """Where it is now."""
        return self.record.status

    @property
    def in_status_ms(self) -> int | None:
        """Milliseconds since it moved there; None where that was before this service began."""
        return None if self._moved_at is None else int((time.monotonic() - self._moved_at) * 1000)

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
        self._moved_at = time.monotonic()
        self._begin(self._launch())

    async def suspend(self, attempt: Attempt = NO_REQUEST) -> None:
        """Begin to suspend it: processes end, the disk stays."""
        life = self._require_life("suspend it")
        await self._move("suspending", notes=attempt.note(self.record.id))
        self._begin(self._suspend(life))

    async def resume(self) -> None:
        """Begin to resume it from the disk that was kept."""
        lifecycle.require(self.record, "suspended", "resume it")
        self._require_own_disk()
        await self._services.provisioner.require(self.record)  # rather not resumed than failed for a lost secret
        await self._move("resuming")
        self._begin(self._resume())

    async def shutdown(self, reason: ShutdownReason, sentence: str | None = None) -> None:
        """End it for good: processes and disk. Once more is no error. `sentence` says why, for its history."""
        try:
            if self.status != "shutdown":
                await self._move("shutdown", sentence, shutdown_reason=reason)
        finally:
            await self._destroy()

    async def end_with_owner(self) -> None:
        """End it because the kernel that it belongs to has ended."""
        await self._guarded(self.shutdown("keep_alive_timeout", OWNER_ENDED))

    async def close(self) -> None:
        """End its processes because the service stops; at the next start it is suspended."""
        self._retire()
        await self._stop()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    async def remove_disk(self) -> None:
        """Remove the disk that an ended devbox has left."""
        await self._destroy()

    async def keep_alive(self) -> None:
        """Start the time after which it ends by itself anew."""
        lifecycle.require(self.record, "running", "keep it alive")
        self.touch()

    async def open_tunnel(self, tunnel: Tunnel, attempt: Attempt = NO_REQUEST) -> None:
        """Let requests in, by this tunnel."""
        sealed = await tunnel.sealed_by(self._services.vault)
        lifecycle.require(self.record, "running", "open its tunnel")
        if self.record.tunnel is not None and self.record.tunnel.tunnel_key:
            raise InvalidError(f"Devbox {self.record.id} has a tunnel already: remove it first.")
        await self._change({"tunnel": sealed}, attempt.note(_digest(tunnel.tunnel_key)))

    def tunnel(self, noted: str) -> Tunnel:
        """Its tunnel that a request has noted; `InvalidError` once that has been removed."""
        if self.record.tunnel is None or _digest(self.record.tunnel.tunnel_key) != noted:
            raise InvalidError(f"The tunnel of devbox {self.record.id} that was asked for has been removed since.")
        return self.record.tunnel

    async def close_tunnel(self) -> None:
        """Let no request in any more. Once more is no error."""
        await self.update(tunnel=None)

    async def dial(self, port: int) -> socket.socket:
        """A non-blocking connection to one of its ports; `SandboxError` where nothing listens."""
        return await self._require_life("connect to it").sandbox.dial(port)

    async def wake(self, timeout: float) -> bool:
        """Bring a suspended devbox back to running; False if it does not run after `timeout` seconds."""
        await self.wait(frozenset({"running", "suspended", *lifecycle.TERMINAL}), timeout)
        async with self._waking:
            if self.status == "suspended":
                await self.resume()
        return await self.wait(frozenset({"running", *lifecycle.TERMINAL}), timeout) and self.status == "running"

    def touch(self) -> None:
        """Somebody uses it: its time starts anew."""
        if self._life is not None:
            self._life.limit_monitor.notice()
        if self._idle_timer is not None:
            self._idle_timer.touch()

    def terminals(self) -> Terminals:
        """Its terminal sessions."""
        return self._use("use its terminals").terminals

    async def update(self, **changes: Any) -> None:
        """Give it another name or other metadata."""
        await self._change(changes)

    async def wait(self, statuses: frozenset[str], timeout: float) -> bool:
        """True once its status is one of `statuses`, and kept; False after `timeout` seconds."""
        return await wait_until(self._changed, lambda: self.status in statuses and not self._moves, timeout)

    async def settled(self) -> None:
        """Return once its status is kept: what is told of it outlives the service."""
        await wait_until(self._changed, lambda: not self._moves)

    def files(self) -> Files:
        """Its file operations."""
        return Files(self._use("use its files").sandbox, self.user, self.flow)

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

    async def execute(self, request: ExecutionRequest) -> Execution:
        """Start a command; the id of one that runs is that one."""
        return await self._use("run a command").execution_manager.start(request)

    def forbid(self, execution_id: str) -> None:
        """Start no command with this id, of which the kill has come first."""
        if self._life is not None:
            self._life.execution_manager.forbid(execution_id)

    def execution(self, execution_id: str) -> Execution | None:
        """A queued or running execution."""
        return None if self._latest is None else self._latest.get(execution_id)

    async def save(self, *notes: Document) -> None:
        """Keep the record as it is now, and notes with it."""
        # What has ended is about to make room, so it may use the room that is set aside for that.
        await self._services.store.put(document(self.record), *notes, urgent=self.status in _ALREADY_SO)
        self._is_kept = True

    def not_kept(self) -> None:
        """The disk was too full to keep the record as it is: the next change keeps it."""
        self._is_kept = False

    async def _change(self, changes: Mapping[str, Any], notes: Sequence[Document] = ()) -> None:
        before = self.record
        self.record = replace(before, **changes)  # at once, so that a move meanwhile keeps both
        try:
            await self.save(*notes)
        except BaseException:
            # What does not fit on the disk must not spoil what is kept later.
            own = {name: value for name, value in changes.items() if getattr(self.record, name) is value}
            self.record = replace(self.record, **{name: getattr(before, name) for name in own})
            raise

    def _use(self, action: str) -> _Life:
        life = self._require_life(action)
        if self._idle_timer is not None and _after_idle(self.record):
            self._idle_timer.touch()
        life.limit_monitor.notice()
        return life

    def _require_life(self, action: str) -> _Life:
        lifecycle.require(self.record, "running", action)
        if self._life is None:  # `close` has ended it, and has told nobody
            raise StoppingError(f"Devbox {self.record.id} is being suspended, as the service stops.")
        return self._life

    async def _move(
        self, status: Status, reason: str | None = None, *, notes: Sequence[Document] = (), **changes: Any
    ) -> None:
        before, moved_at = self.record, self._moved_at
        lasted_ms = self.in_status_ms
        self.record = moved = lifecycle.move(replace(before, **changes), status, now_ms(), reason, lasted_ms)
        self._moved_at = time.monotonic()
        self._moves += 1
        try:
            await self.save(*notes)
        except DiskFullError:
            if status in _ALREADY_SO:
                self._is_kept = False
                return
            if self.record is moved:
                self.record, self._moved_at = before, moved_at
            raise
        finally:
            self._moves -= 1
            self._changed.notify()

    async def _advance(self, status: Status) -> None:
        """The next step of the background work, unless the devbox has ended meanwhile."""
        self._check()
        await self._move(status)
        self._check()

    def _check(self) -> None:
        if self.status in lifecycle.TERMINAL:
            raise _SupersededError

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self.status in lifecycle.TERMINAL:  # it was ended while its move was being kept
            work.close()
            return
        self._work = asyncio.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except _SupersededError:
            return
        except (_LaunchError, SandboxError, EngineError, OSError, RuntimeError) as error:
            reason: FailureReason = "out_of_disk" if is_disk_full(error) else "execution_failed"
            await self._fail(str(of_machine(error) or error), reason)

    async def _launch(self) -> None:
        await self._advance("provisioning")
        life = await self._start()
        await self._advance("initializing")
        files = Files(life.sandbox, self.user, self.flow)
        for path, content in self.record.file_mounts.items():
            await files.write(path, whole(content.encode()))
            self._check()
        await self._services.provisioner.furnish(self.record, files, life.execution_manager)
        self._check()
        await self._set_up(life)
        await self._run(life)

    async def _start(self) -> _Life:
        """Make the sandbox, or take its disk up again, and start it."""
        sandbox = await self._disk()
        limits = size_of(self.record.launch_parameters).limits()
        sandbox.limit(limits)
        sandbox.restrict(await self._services.provisioner.reach(self.record))
        context = self._context(sandbox, await self._services.provisioner.environment(self.record))
        await sandbox.start()
        self._check()
        execution_manager = ExecutionManager(sandbox, context, self._services.store, self._services.history)
        terminals = Terminals(sandbox, _login(context), self._services.pty_idle_ttl)
        history = self._services.history
        printed = partial(history.output_bytes_of, self.record.id)
        limit_monitor = LimitMonitor(sandbox, limits, str(history.folder.parent), self._on_violation, printed=printed)
        self._life = life = _Life(sandbox, execution_manager, terminals, limit_monitor)
        self._latest = execution_manager
        self._watch = asyncio.create_task(self._watch_end(life))
        limit_monitor.notice()
        return life

    def _require_own_disk(self) -> None:
        """A missing disk is made anew by whoever asks for it, so it is better not asked for."""
        if self._sandbox is None and self.record.id not in self._services.isolation.sandboxes():
            raise InvalidError(
                f"Devbox {self.record.id} cannot be resumed, as its disk is not among those of "
                f"{self._services.isolation.name} isolation: it is missing, or was made with another --isolation."
            )

    async def _disk(self) -> Sandbox:
        async with self._opening:
            if self.status in lifecycle.TERMINAL:
                raise InvalidError(f"Devbox {self.record.id} is {self.status}: it has no disk any more.")
            return await self._opened()

    async def _opened(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = await self._services.isolation.create(self.record.id, layers=self.record.layers)
            self.record = replace(self.record, has_disk=True)
        return self._sandbox

    def _context(self, sandbox: Sandbox, secrets: Mapping[str, str]) -> ExecutionContext:
        image = self.record.image
        env = {**image.env, **self.record.environment_variables, **secrets}
        cwd = None if image.cwd is None else sandbox.path(image.cwd)
        return ExecutionContext(self.record.id, self.user, env, self._services.login_shell, self.flow, cwd)

    async def _set_up(self, life: _Life) -> None:
        for command in self.record.launch_parameters.get("launch_commands") or ():
            code = await life.execution_manager.run(ExecutionRequest(command, new_id("exec"), source="setup_commands"))
            self._check()
            if code:
                raise _LaunchError(f"The launch command {command!r} ended with exit status {code}.")

    async def _run(self, life: _Life) -> None:
        await self._advance("running")
        self._set_idle_timer()
        if self.record.entrypoint is not None:
            await self._enter(life, self.record.entrypoint)

    async def _enter(self, life: _Life, entrypoint: str) -> None:
        """Run the entrypoint; the devbox ends with it."""
        await life.execution_manager.run(ExecutionRequest(entrypoint, new_id("exec"), source="entrypoint"))
        if self.status == "running" and life is self._life:
            await self._move("shutdown", shutdown_reason="entrypoint_exit")
            await self._destroy()

    async def _suspend(self, life: _Life) -> None:
        self._retire()
        await self._run_last_commands(life)
        await self._stop()
        await self._advance("suspended")

    async def _run_last_commands(self, life: _Life) -> None:
        """What is to be done before the processes end; neither a failure nor the time's end keeps them from it."""
        hooks = (self.record.launch_parameters.get("lifecycle") or {}).get("lifecycle_hooks") or {}
        try:
            async with asyncio.timeout(hooks.get("suspend_deadline_ms", SUSPEND_DEADLINE_MS) / 1000):
                for command in hooks.get("suspend_commands") or ():
                    self._check()
                    await life.execution_manager.run(ExecutionRequest(command, new_id("exec"), source="setup_commands"))
        except TimeoutError:
            return

    async def _resume(self) -> None:
        life = await self._start()
        await self._set_up(life)
        await self._run(life)

    async def _watch_end(self, life: _Life) -> None:
        await life.sandbox.ended()
        if self.status in ("initializing", "running", "resuming"):
            violation = await life.limit_monitor.memory()
            if violation is not None:
                await self._fail(violation.sentence, violation.reason)
            else:
                await self._fail("The devbox ended on its own: its first process is gone.")

    async def _fail(self, sentence: str, reason: FailureReason = "execution_failed") -> None:
        if self.status in lifecycle.TERMINAL:
            return
        try:
            await self._move("failure", sentence, failure_reason=reason)
        finally:
            await self._destroy()

    def _set_idle_timer(self) -> None:
        idle = _after_idle(self.record)
        if idle is not None:
            self._idle_timer = IdleTimer(float(idle["idle_time_seconds"]), self._on_idle, self._is_busy)
        else:
            asked = self.record.launch_parameters.get("keep_alive_time_seconds")
            self._idle_timer = IdleTimer(float(asked or DEFAULT_KEEP_ALIVE_S), self._on_expiry, self._is_held)

    def _is_held(self) -> bool:
        owner = self.record.owner
        return owner is not None and owner.holds and self._services.kernels.lives(owner.id)

    def _is_busy(self) -> bool:
        return self._life is not None and (self._life.execution_manager.busy or self._life.terminals.busy)

    def _on_expiry(self) -> None:
        self._alarm = asyncio.create_task(self._guarded(self.shutdown("keep_alive_timeout")))

    def _on_violation(self, violation: LimitViolation) -> None:
        self._alarm = asyncio.create_task(self._guarded(self._fail(violation.sentence, violation.reason)))

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
        if self._life is not None:
            self._life.limit_monitor.end()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()

    async def _stop(self) -> None:
        """End the processes of a started sandbox."""
        life, self._life = self._life, None
        if life is not None:
            life.limit_monitor.end()
            life.terminals.end()
            await life.sandbox.stop()
            await life.execution_manager.end()

    async def _destroy(self) -> None:
        """End the processes, then the background work that waited for them, then the disk."""
        self._retire()
        await self._stop()
        if self._work is not None and self._work is not asyncio.current_task():
            await asyncio.wait({self._work})
        async with self._opening:
            await self._remove()

    async def _remove(self) -> None:
        # One that an earlier service has left suspended has a disk, and no sandbox was made for it yet.
        sandbox = await self._opened() if self.record.has_disk else self._sandbox
        self._sandbox = None
        if sandbox is not None:
            await sandbox.destroy()
        if self.record.has_disk or not self._is_kept:
            self.record = replace(self.record, has_disk=False)
            await self.save()
        await self._services.history.end_devbox(self.record)
        self._services.layers.release(holder_of(self.record.id))


def holder_of(devbox_id: str) -> str:
    """What a devbox is called where layers are held."""
    return f"devbox/{devbox_id}"


def document(record: DevboxRecord) -> Document:
    """A devbox as the store keeps it: without what lets in by its tunnel."""
    stored = record if record.tunnel is None else replace(record, tunnel=record.tunnel.stored())
    # The view has no tunnel: that of one which lives is put in as it is listed.
    view = json.dumps(devbox_view(stored), ensure_ascii=False)
    return Document(
        "devbox",
        record.id,
        body_of(stored),
        status=record.status,
        name=record.name or "",
        time_ms=record.end_time_ms or record.create_time_ms,
        view=view,
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def loaded(body: Any) -> DevboxRecord:
    """The record from its stored form; `ValueError` where that is none."""
    record = _loaded(body)
    if not record.transitions:
        raise ValueError("transitions: there are none")
    return record


_loaded = loader(DevboxRecord)


def _login(context: ExecutionContext) -> Command:
    """The shell of a terminal."""
    env = {"TERM": "xterm-256color", **context.env}
    return Command((context.login_shell, "-l"), context.user, context.cwd, env)


def _after_idle(record: DevboxRecord) -> dict[str, Any] | None:
    parameters = record.launch_parameters
    rule: dict[str, Any] | None = parameters.get("after_idle") or (parameters.get("lifecycle") or {}).get("after_idle")
    return rule
