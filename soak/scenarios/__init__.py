"""Small pieces of work with results that can be checked, for clients whose network is good or bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import commands, devboxes, files, records

if TYPE_CHECKING:
    import random

    from .context import Scenario

WEIGHTS: dict[Scenario, int] = {
    **commands.SCENARIOS,
    **files.SCENARIOS,
    **devboxes.SCENARIOS,
    **records.SCENARIOS,
}
"""Each scenario, and how often it is drawn beside the others."""


def drawn(chance: random.Random) -> Scenario:
    """One of them."""
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
