"""Divides the time of a run among the instruments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cases import Limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARES = {"load": 35, "kills": 15, "cuts": 15, "kernels": 25, "fuzz": 10, "parsers": 5}
"""The shares of the time by instrument, in the order in which they run."""


BESIDE, BESIDE_SHARE = "commands", 0.6
"""The instrument that is mostly idle, and so runs in parallel with the others, for this part of the time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requested limits: minutes for all, and counts for some."""

    minutes: float | None
    counts: Mapping[str, int | None]
    only: int | None = None


def limits(names: Sequence[str], wanted: Wanted) -> dict[str, Limit]:
    """The limit of each instrument. Those with a count have no time limit; the others share the minutes."""
    timed = [name for name in names if name != BESIDE and wanted.counts.get(name) is None]
    whole = sum(SHARES[name] for name in timed)
    found = {}
    if BESIDE in names:
        share = BESIDE_SHARE if len(names) > 1 else 1.0
        found[BESIDE] = Limit(None, None if wanted.minutes is None else wanted.minutes * 60 * share)
    for name in (name for name in names if name != BESIDE):
        count = wanted.counts.get(name)
        minutes = None if count is not None or wanted.minutes is None else wanted.minutes * SHARES[name] / whole
        found[name] = Limit(count, None if minutes is None else minutes * 60, wanted.only)
    return found
