"""The end of a devbox, whatever brings it about."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...sandbox.base import SandboxError
from ..errors import EngineError, StoppingError, is_disk_full, of_machine
from .limits import LimitViolation
from .state import SupersededError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from .disk import Disk
    from .expiry_timer import ExpiryTimer
    from .lifecycle import FailureReason, ShutdownReason
    from .processes import Processes
    from .runtime import Runtime
    from .services import DevboxServices
    from .state import DevboxState

_log = logging.getLogger("runloop_local")
_REMOVAL_S = 2.0
"""The time that the removal of a disk may take when the service stops: less than open requests have."""
_ENDED_ON_ITS_OWN = LimitViolation("execution_failed", "The devbox ended on its own: its first process is gone.")


class Supervisor:
    """Ends one devbox: when it is asked to, when its background work fails, and when its processes fail."""

    def __init__(
        self, state: DevboxState, disk: Disk, processes: Processes, timer: ExpiryTimer, services: DevboxServices
    ) -> None:
        self._state = state
        self._disk = disk
        self._processes = processes
        self._timer = timer
        self._history = services.history
        self._layers = services.layers
        self._work: asyncio.Task[None] | None = None
        """The launch, suspend or resume under way."""
        self._ending: asyncio.Task[None] | None = None
        """The removal of what it still has, under way or over."""
        self._reaction: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Launch, suspend or resume the devbox in the background, by this work."""
        if self._state.has_ended:  # while the move that the work belongs to was being stored
            work.close()
            return
        self._work = asyncio.create_task(self.guard(work))

    def react(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside the background work, as a timer or a limit asks for it."""
        self._reaction = asyncio.create_task(self.guard(work))

    def watch(self, runtime: Runtime) -> None:
        """Let the devbox fail when this runtime ends on its own, or cannot go on after a snapshot."""
        self._watch = asyncio.create_task(self.guard(self._watch_end(runtime)))

    def end_for(self, violation: LimitViolation) -> None:
        """Let the devbox fail, as it has exceeded a limit."""
        self.react(self.fail(violation.sentence, violation.reason))

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this work; the devbox fails if the work does."""
        try:
            await work
        except SupersededError:
            return
        except (SandboxError, EngineError, OSError, RuntimeError) as error:
            # A full disk is the one reason that the user can do something about, and the API has a word for it.
            reason: FailureReason = "out_of_disk" if is_disk_full(error) else "execution_failed"
            await self.fail(str(of_machine(error) or error), reason)
        except Exception as error:  # noqa: BLE001 - a fault of the service itself: the devbox must not wait for ever
            _log.exception("Devbox %s failed by a fault of the service", self._state.record.id)
            await self.fail(f"A fault of the service: {type(error).__name__}: {error}", "execution_failed")

    async def shutdown(self, reason: ShutdownReason, sentence: str | None = None) -> None:
        """Shut the devbox down. Repeating it is not an error. `sentence` says why, for its history."""
        # The move comes first: from here on nothing can be started in the devbox, and work in the background stops at
        # its next step. What cannot be stored must not leave processes behind, and whoever asks again may find a disk
        # that could not be removed before.
        try:
            if self._state.status != "shutdown":
                await self._state.move("shutdown", sentence, shutdown_reason=reason)
        finally:
            await self.destroy()

    async def fail(self, sentence: str, reason: FailureReason) -> None:
        """End the devbox as failed, unless it has ended already."""
        if self._state.has_ended:
            return
        try:
            await self._state.move("failure", sentence, failure_reason=reason)
        finally:
            await self.destroy()

    async def destroy(self) -> None:
        """Remove what an ended devbox still has. Repeating it is not an error.

        It goes on if the caller is cancelled. Raises `StoppingError` if the service stops before it is over; the next
        one does the rest.
        """
        # First: a limit that is exceeded by the end itself must not begin a second end.
        self.retire()
        is_work = asyncio.current_task() is self._work
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._remove(wait_for_work=not is_work))
        elif is_work:
            return  # which the removal waits for
        try:
            await asyncio.shield(self._ending)
        except asyncio.CancelledError:
            if self._ending.cancelled():
                raise StoppingError(
                    f"Devbox {self._state.record.id} has ended; the next start of the service removes its disk, as "
                    "this one stops."
                ) from None
            raise

    async def _remove(self, *, wait_for_work: bool) -> None:
        # Work in the background may wait for a process, such as a launch command: so it is awaited after the processes
        # have been stopped. It may also be making the disk: so the disk is removed once the work is over. Work that
        # ends its own devbox, as a launch that fails does, cannot wait for itself.
        await self._processes.stop()
        if self._work is not None and wait_for_work:
            await asyncio.wait({self._work})
        await self._disk.remove()
        # After the disk: what is left of the devbox from here on is its history, which may be removed by age.
        await self._history.end_devbox(self._state.record)
        # Last: while there was a disk, it stood on these layers.
        self._layers.release(holder_of(self._state.record.id))

    async def close(self) -> None:
        """End the processes because the service stops.

        That is no move: the next service finds the devbox running, and takes it up as suspended.
        """
        self.retire()
        await self._processes.stop()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        if self._ending is not None:
            # Before the sandboxes' helper is gone, which removes disks: the service must not be told of a failure then.
            await asyncio.wait({self._ending}, timeout=_REMOVAL_S)
            self._ending.cancel()
            await asyncio.wait({self._ending})

    def retire(self) -> None:
        """Let no timer, limit or watcher act from here on: the end of the processes is wanted now."""
        self._processes.end_monitoring()
        self._timer.cancel()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()

    async def _watch_end(self, runtime: Runtime) -> None:
        await runtime.sandbox.ended()
        if self._state.status in ("initializing", "running", "resuming"):
            # The kernel kills the first process where memory has run out: its own words for that are the better reason.
            end = await runtime.limit_monitor.memory() or _ENDED_ON_ITS_OWN
            await self.fail(end.sentence, end.reason)


def holder_of(devbox_id: str) -> str:
    """The name by which a devbox holds layers."""
    return f"devbox/{devbox_id}"
