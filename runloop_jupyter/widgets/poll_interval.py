"""The pauses between looks. Does no I/O."""

from __future__ import annotations

import random

EVERY = 2.0
"""Seconds between two looks while somebody watches."""
_IDLE_EVERY, _HIDDEN_EVERY = 10.0, 30.0
_IDLE_AFTER = 600.0  # seconds without a change or a click
_LONGEST = 60.0  # seconds between two tries after errors
_LONGEST_TOLD = 600.0  # that the service may ask for
_SHARE = 0.2  # of the time may go into looking: a list that takes a second is asked for every five


def delay(*, visible: bool, idle: float, spent: float) -> float:
    """Seconds until the next look. `idle` and `spent` (on the last look) are seconds too."""
    every = _HIDDEN_EVERY if not visible else _IDLE_EVERY if idle > _IDLE_AFTER else EVERY
    return max(every, spent / _SHARE)


def delay_after_failures(failures: int, told: float | None = None) -> float:
    """Seconds until the next try, after so many failures in a row; `told` is the wait that the service asked for."""
    own = min(EVERY * 2.0 ** min(failures - 1, 10), _LONGEST)
    jittered = own * random.uniform(0.8, 1.0)  # noqa: S311 - jitter, not a secret
    return max(jittered, min(told or 0.0, _LONGEST_TOLD))
