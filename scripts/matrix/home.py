"""The home folder that each place has for itself."""

from __future__ import annotations

import os
from pathlib import Path

from tests.own_state import kept_in


def environ(home: Path) -> dict[str, str]:
    """The environment of what runs there: everything is kept in it."""
    return {**os.environ, **kept_in(home / "state"), "HOME": str(home)}
