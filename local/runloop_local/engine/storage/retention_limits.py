"""The retention limits: defaults, parsing and formatting. Quick to import, as the command line uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidError

VARIABLE = "RUNLOOP_LOCAL_KEEP"
HOUR_MS = 3600 * 1000
_DAY_MS = 24 * HOUR_MS
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SPANS = {"s": 1000, "m": 60 * 1000, "h": HOUR_MS, "d": _DAY_MS}
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)([A-Za-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limit:
    """The maximum size and age of one kind of data."""

    bytes: int
    age_ms: int


DEFAULTS: Mapping[str, Limit] = {
    "logs": Limit(10**9, 3 * _DAY_MS),
    "records": Limit(200 * 10**6, 3 * _DAY_MS),
    "builds": Limit(100 * 10**6, 30 * _DAY_MS),
    "cache": Limit(10 * 10**9, 7 * _DAY_MS),
}
MEANINGS: Mapping[str, str] = {
    "logs": "output of commands in devboxes that have ended, and old output of running ones",
    "records": "devboxes that have ended, and their commands",
    "builds": "logs of builds",
    "cache": "cached build steps, the layers that only they use, and cache mounts",
    "images": "images that no devbox, snapshot or blueprint uses",
}


def parse_limits(text: str, limits: Mapping[str, Limit] = DEFAULTS) -> dict[str, Limit]:
    """Update `limits` with a text like `logs=2GB/3d cache=20GB`; raises `InvalidError`."""
    found = dict(limits)
    for word in text.replace(",", " ").split():
        kind, _, amounts = word.partition("=")
        if kind not in found or not amounts:
            raise InvalidError(f"{word!r} is not a limit: write it like logs=2GB/3d, for {', '.join(found)}.")
        for amount in amounts.split("/"):
            found[kind] = _limited(found[kind], amount)
    return found


def _limited(limit: Limit, amount: str) -> Limit:
    match = _AMOUNT.fullmatch(amount)
    if match is not None and match[2].upper() in _UNITS:
        return Limit(int(float(match[1]) * _UNITS[match[2].upper()]), limit.age_ms)
    return Limit(limit.bytes, parse_age(amount))


def parse_age(text: str) -> int:
    """Parse `90s`, `30m`, `12h` or `3d` to milliseconds; raises `InvalidError`."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in _SPANS:
        raise InvalidError(f"{text!r} is neither a size like 500MB or 2GB nor a time like 30m, 12h or 3d.")
    return int(float(match[1]) * _SPANS[match[2]])


def format_size(count: int) -> str:
    """Format a number of bytes: `1.5 GB`."""
    unit = next((name for name in ("TB", "GB", "MB", "KB") if count >= _UNITS[name]), "B")
    return f"{round(count / _UNITS[unit], 1):g} {unit}"


def format_age(ms: int) -> str:
    """Format milliseconds: `3 days`."""
    for word, span in (("days", _DAY_MS), ("hours", HOUR_MS), ("minutes", _SPANS["m"])):
        if ms >= 2 * span:
            return f"{round(ms / span, 1):g} {word}"
    return f"{round(ms / 1000, 1):g} seconds"
