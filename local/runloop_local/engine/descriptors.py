"""Reserves file descriptors: without any left, the service could not even answer that it has run out."""

from __future__ import annotations

import resource

RESERVED_FROM_COMMANDS = 32
"""Descriptors that commands must leave free for connections and files."""
RESERVED_FROM_CONNECTIONS = 16
"""Descriptors that connections must leave free, too."""


def are_short(newest: int, kept: int) -> bool:
    """True if fewer than `kept` are free. `newest` was just opened, so all below it are in use."""
    return newest >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - kept
