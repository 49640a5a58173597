"""Timing, and the table that is printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure, the peer's in the same run where there is one, and the goal."""

    name: str
    ours: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    goal: str = ""

    def __str__(self) -> str:
        compared = "" if self.peer is None else f"{self.peer_name} {self.peer:.1f} {self.unit} (x{self.ratio:.2f})"
        return f"  {self.name:<58} {self.ours:>9.1f} {self.unit:<5} {compared:<44} {self.goal}".rstrip()

    @property
    def ratio(self) -> float:
        """Ours over the peer's."""
        return self.ours / self.peer if self.peer else float("nan")


async def median_ms(act: Callable[[], Awaitable[object]], times: int) -> float:
    """The median of so many runs, in milliseconds, after one that is not counted."""
    await act()
    return statistics.median([await _ms(act) for _ in range(times)])


async def paired_ms(
    ours: Callable[[], Awaitable[object]], peers: Callable[[], Awaitable[object]], times: int
) -> tuple[float, float]:
    """Medians of two actions that take turns, so that both meet the same weather."""
    await ours()
    await peers()
    pairs = [(await _ms(ours), await _ms(peers)) for _ in range(times)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


async def _ms(act: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await act()
    return (time.perf_counter() - start) * 1000
