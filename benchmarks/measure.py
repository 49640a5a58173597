"""Timing, and the rows that are printed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_OF_TIME = ("s", "ms", "us", "/s", "k/s", "MB/s")
_BUSY = 0.25
"""The share of the processors that others may take before a time says more about them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure, the goal, and what it is measured beside in the same run.

    That is its limit, the bare thing without which it cannot be done, or the official client's figure.
    """

    name: str
    ours: float
    unit: str
    reference: float | None = None
    reference_name: str = ""
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the reference."""
        return self.ours / self.reference if self.reference else None

    @property
    def needs_quiet(self) -> bool:
        """True for times and rates with nothing beside them that others would slow as much."""
        return self.unit in _OF_TIME and self.reference is None

    def as_json(self) -> dict[str, Any]:
        """Its fields, from which `Row(**fields)` makes it again."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """That of one figure or more."""
        found = sorted(figures)
        return cls(statistics.median(found), found[0], found[-1])

    def __str__(self) -> str:
        middle = f"{self.median:,.{_digits(self.median)}f}"
        if self.least == self.most:
            return middle
        return f"{middle} ({self.least:,.{_digits(self.least)}f}-{self.most:,.{_digits(self.most)}f})"


def _digits(figure: float) -> int:
    return 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2


def by_name(runs: Iterable[Iterable[Row]]) -> Mapping[str, list[Row]]:
    """The rows of several runs by their names, in the order of the first run."""
    found: dict[str, list[Row]] = {}
    for run in runs:
        for row in run:
            found.setdefault(row.name, []).append(row)
    return found


def line(rows: Sequence[Row], *, busy: bool = False) -> str:
    """What is printed of a row that was measured once or more: ours, the reference, their ratio, and the goal.

    The ratio is the median of the runs' ratios: each has met one weather.
    """
    one = rows[0]
    ours, reference, ratio = f"{Spread.of(row.ours for row in rows)} {one.unit}", "", ""
    beside = [row.reference for row in rows if row.reference is not None]
    if beside:
        reference = f"{one.reference_name} {Spread.of(beside)}"
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if ratios:
        ratio = f"x{Spread.of(ratios)}"
    noted = "  (busy)" if busy and one.needs_quiet else ""
    return f"  {one.name:<60} {ours:>24}  {reference:<40} {ratio:<20} {one.goal}{noted}".rstrip()


def paired_line(before: Sequence[Row], after: Sequence[Row]) -> str:
    """What is printed of a row of two checkouts: both figures, and the median of the pairs' ratios."""
    one = after[0]
    ratios = [mine.ours / theirs.ours for theirs, mine in zip(before, after, strict=True) if theirs.ours]
    ratio = f"x{Spread.of(ratios)}" if ratios else ""
    figures = [f"{Spread.of(row.ours for row in rows)} {one.unit}" for rows in (before, after)]
    return f"  {one.name:<60} {figures[0]:>26} -> {figures[1]:<26} {ratio:<20} {one.goal}".rstrip()


def processors_taken(seconds: float = 0.3) -> float:
    """The share of this machine's processors that others take at the moment (Linux; 0 elsewhere)."""
    before = _processor_times()
    time.sleep(seconds)
    passed = [now - then for now, then in zip(_processor_times(), before, strict=True)]
    idle = sum(passed[3:5])
    return 1 - idle / sum(passed) if sum(passed) else 0


def _processor_times() -> list[int]:
    try:
        return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    except OSError:
        return []


def is_busy(taken: float) -> bool:
    """True if others take so much that times would say more about them."""
    return taken > _BUSY


def load() -> str:
    """The load of this machine, in words."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


async def median_ms(act: Callable[[], Awaitable[object]], times: int) -> float:
    """The median of so many runs, in milliseconds, after one that is not counted."""
    await act()
    return statistics.median([await took_ms(act) for _ in range(times)])


async def least_ms(act: Callable[[], Awaitable[object]], times: int) -> float:
    """The least of so many runs, in milliseconds, after one that is not counted: what others take is added to it."""
    await act()
    return min([await took_ms(act) for _ in range(times)])


async def paired_ms(
    ours: Callable[[], Awaitable[object]], others: Callable[[], Awaitable[object]], times: int
) -> tuple[float, float]:
    """Medians of two actions that take turns, so that both meet the same weather."""
    await ours()
    await others()
    pairs = [(await took_ms(ours), await took_ms(others)) for _ in range(times)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


async def took_ms(act: Callable[[], Awaitable[object]]) -> float:
    """How long an action took, in milliseconds."""
    start = time.perf_counter()
    await act()
    return (time.perf_counter() - start) * 1000
