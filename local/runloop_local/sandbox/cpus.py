"""Assigns processors of this machine to sandboxes, so that each sees as many as it may use."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class CpuAllocator:
    """The processors that this service may use, and the number of sandboxes on each."""

    def __init__(self, available: Collection[int]) -> None:
        self._load = Counter(dict.fromkeys(available, 0))

    def take(self, cpus: float) -> tuple[int, ...]:
        """Take the processors with the fewest sandboxes; at least one, at most all."""
        fewest = sorted(self._load, key=lambda cpu: (self._load[cpu], cpu))
        taken = tuple(sorted(fewest[: max(1, math.ceil(cpus))]))
        self._load.update(taken)
        return taken

    def release(self, taken: tuple[int, ...]) -> None:
        """Release the processors of a sandbox that has ended."""
        self._load.subtract(taken)
