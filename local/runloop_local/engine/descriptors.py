"""File descriptors are kept for what matters most: without any, a service could not even say that it has none."""

from __future__ import annotations

import resource

FOR_ALL_BUT_WORK = 32
"""So many are left by what runs commands: connections and files need them."""
FOR_FILES = 16
"""So many are left by connections too."""


def are_short(newest: int, kept: int) -> bool:
    """Whether fewer than `kept` are left; `newest` is one just opened, and so the lowest that was free."""
    return newest >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - kept
