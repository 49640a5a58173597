"""Plain text for terminals, and how times and metadata read."""

from __future__ import annotations

import datetime
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from ..durations import spell_duration

_NOW = 1.0  # seconds in which something counts as happening now


def printable(text: str) -> str:
    """`text` without control characters: a name from the wire must not move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def aligned(rows: Iterable[Sequence[str]], head: Sequence[str] = (), *, widest: int | None = None) -> str:
    """Rows of text as columns; what is longer than `widest` characters goes on below."""
    table: list[Sequence[str]] = [[printable(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
    if widest is not None:
        table = [line for row in table for line in _wrapped(row, widest)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(row: Sequence[str], widest: int) -> Iterable[Sequence[str]]:
    if all(len(cell) <= widest for cell in row):
        return [row]
    return zip_longest(*(textwrap.wrap(cell, widest) or [""] for cell in row), fillvalue="")


def ago(milliseconds: int | None) -> str:
    """How long ago a time was, given in milliseconds since 1970."""
    if milliseconds is None:
        return ""
    seconds = time.time() - milliseconds / 1000
    return f"{spell_duration(seconds)} ago" if seconds >= _NOW else "just now"


def moment(milliseconds: int | None) -> str:
    """The date and the time of day here of milliseconds since 1970."""
    return "" if milliseconds is None else _local(milliseconds).strftime("%Y-%m-%d %H:%M")


def clock(milliseconds: int) -> str:
    """The time of day here of milliseconds since 1970."""
    return _local(milliseconds).strftime("%H:%M:%S")


def pairs(metadata: Mapping[str, str] | None) -> str:
    """Metadata on one line."""
    return ", ".join(f"{key}={value}" for key, value in (metadata or {}).items())


def _local(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.UTC).astimezone()
