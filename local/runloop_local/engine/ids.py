"""Generates and checks ids; the wall clock."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

from .errors import InvalidError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def new_id(prefix: str) -> str:
    """A new id such as `dbx_01h...`, a ULID: sorts by time, with 80 random bits."""
    return _written(prefix, (now_ms() << 80) | secrets.randbits(80))


def derived_id(prefix: str, seed: str) -> str:
    """An id of the same form that is derived from a seed."""
    return _written(prefix, int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16]))


def checked_id(value: str, what: str) -> str:
    """Check that an id is safe as a folder's name; raises `InvalidError`."""
    if not _SAFE.fullmatch(value):
        raise InvalidError(f"{what} {value!r} must be 1 to 128 letters, digits, '_' or '-'.")
    return value


def _written(prefix: str, number: int) -> str:
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5)]
    return f"{prefix}_{''.join(digits)}"


def now_ms(not_before: int = 0) -> int:
    """Milliseconds since 1970, but at least `not_before`, as the clock may be set back."""
    return max(not_before, time.time_ns() // 1_000_000)
