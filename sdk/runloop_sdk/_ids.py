"""Ids that the client chooses."""

from __future__ import annotations

import os
import time


def uuid4() -> str:
    """A new random UUID."""
    return _spelled(int.from_bytes(os.urandom(16)), version=4)


def uuid7() -> str:
    """A new UUID version 7: ordered by time, as the API wants the ids of commands."""
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | int.from_bytes(os.urandom(10))
    return _spelled(bits, version=7)


def _spelled(bits: int, version: int) -> str:
    # Without the module uuid, whose import takes longer than a request.
    digits = f"{bits & ~(0xF << 76 | 0x3 << 62) | version << 76 | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
