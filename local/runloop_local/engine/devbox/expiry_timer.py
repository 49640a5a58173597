"""The time after which a devbox ends by itself: its keep-alive time, or the idle time of its `after_idle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..idle_timer import IdleTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kernel.kernels import Kernels
    from .state import DevboxState

DEFAULT_KEEP_ALIVE_S = 3600
MAX_KEEP_ALIVE_S = 48 * 3600


class ExpiryTimer:
    """The timer of one devbox, from the moment that it runs until it is suspended or ends."""

    def __init__(self, state: DevboxState, kernels: Kernels) -> None:
        self._state = state
        self._kernels = kernels
        self._timer: IdleTimer | None = None

    def start(self, is_busy: Callable[[], bool], expired: Callable[[], None]) -> None:
        """Call `expired` when the time is over.

        An idle time does not count while `is_busy()`, a keep-alive time not while the devbox's kernel lives.
        """
        idle = self._state.record.after_idle
        if idle is not None:
            self._timer = IdleTimer(float(idle["idle_time_seconds"]), expired, is_busy)
        else:
            asked = self._state.record.launch_parameters.get("keep_alive_time_seconds")
            self._timer = IdleTimer(float(asked or DEFAULT_KEEP_ALIVE_S), expired, self._is_held)

    def used(self) -> None:
        """Start an idle time anew; a keep-alive time goes on, however much the devbox is used."""
        if self._state.record.after_idle is not None:
            self.restart()

    def restart(self) -> None:
        """Start the time anew."""
        if self._timer is not None:
            self._timer.touch()

    def cancel(self) -> None:
        """Never expire."""
        if self._timer is not None:
            self._timer.cancel()

    def _is_held(self) -> bool:
        owner = self._state.record.owner
        return owner is not None and owner.holds and self._kernels.lives(owner.id)
