"""Parses and formats durations for people."""

from __future__ import annotations

import re

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|)\s*")


def parse_duration(text: str) -> float:
    """The seconds of "90", "90s", "30m", "2h" or "1h30m". Raises ValueError that says how to write a duration."""
    wrong = ValueError(f"{text!r} is not a duration: write it like 90s, 30m or 2h")
    seconds, end = 0.0, 0
    while end < len(text):
        part = _PART.match(text, end)
        if part is None:
            raise wrong
        seconds += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if not seconds:
        raise wrong
    return seconds


def spell_limit(seconds: float) -> str:
    """A duration that somebody chose, without the decimals of one that was measured: "1 s", "0.5 s", "2 min"."""
    return f"{seconds:g} s" if seconds < 9.95 else spell_duration(seconds)


def spell_duration(seconds: float) -> str:
    """A duration in short: "0.31 s", "12 s", "2 min 5 s", "3 h 12 min", "4 d"."""
    if seconds < 0.995:
        return f"{max(seconds, 0):.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, below, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"
