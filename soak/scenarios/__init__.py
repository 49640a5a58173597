"""Small pieces of work with checkable results, for clients with and without network faults."""

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
"""The scenarios and their weights."""


def drawn(chance: random.Random) -> Scenario:
    """Draw a scenario."""
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
