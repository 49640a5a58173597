"""Identifiers and the clock."""

from __future__ import annotations

import re
import secrets
import time

from .errors import InvalidError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def new_id(prefix: str) -> str:
    """A fresh id such as `dbx_01h...`: sorts by time, 80 random bits."""
    number = (now_ms() << 80) | secrets.randbits(80)
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5)]
    return f"{prefix}_{''.join(digits)}"


def checked_id(value: str, what: str) -> str:
    """`value`, if it may name a folder; `InvalidError` otherwise."""
    if not _SAFE.fullmatch(value):
        raise InvalidError(f"{what} {value!r} must be 1 to 128 letters, digits, '_' or '-'.")
    return value


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
