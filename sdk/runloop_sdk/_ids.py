"""Ids that the client chooses."""

from __future__ import annotations

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """A new UUID version 7: ordered by time, as the API wants the ids of commands (Python 3.14 has its own)."""
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10))
    version_and_variant = 0xF << 76 | 0x3 << 62
    return uuid.UUID(int=bits & ~version_and_variant | 0x7 << 76 | 0x2 << 62)
