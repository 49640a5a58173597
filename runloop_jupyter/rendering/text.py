"""Formats plain text for terminals: aligned columns, times and metadata."""

from __future__ import annotations

import datetime
import os
import sys
import textwrap
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest

from ..text.durations import spell_duration
from ..text.quoting import printable

_GAP = "  "
_MIN_WIDTH = 12  # characters that every column keeps
_NOW = 1.0  # seconds for which something counts as happening just now


def aligned(
    rows: Iterable[Sequence[str]],
    head: Sequence[str] = (),
    *,
    widest: int | None = None,
    whole: Collection[str] = (),
) -> str:
    """Align rows of text in columns.

    With `widest`, a text of more than so many characters is wrapped, and in a terminal also one for which the line has
    no room. Columns whose titles are in `whole` are not wrapped.
    """
    table: list[Sequence[str]] = [[printable(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
    if widest is not None:
        may_wrap = [title not in whole for title in head] or [True] * len(table[0])
        limits = _limits(_widths(table), may_wrap, widest)
        table = [line for row in table for line in _wrapped(row, limits)]
    widths = _widths(table)
    lines = (_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _widths(table: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _limits(widths: Sequence[int], may_wrap: Sequence[bool], widest: int) -> list[int]:
    """The width of each column: the widest ones are narrowed until the line has room for all."""
    room = _terminal_width()

    def limited(most: int) -> list[int]:
        return [min(width, most) if wraps else width for width, wraps in zip(widths, may_wrap, strict=True)]

    while room and widest > _MIN_WIDTH and sum(limited(widest)) + len(_GAP) * (len(widths) - 1) > room:
        widest -= 1
    return limited(widest)


def _terminal_width() -> int | None:
    """The width of the terminal that text is printed to; None if it is not a terminal."""
    stream = sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream is not None and stream.isatty() else None
    except (OSError, ValueError, AttributeError):  # Spyder's stream claims to be a terminal, but has no descriptor
        return None


def _wrapped(row: Sequence[str], limits: Sequence[int]) -> Iterable[Sequence[str]]:
    if all(len(cell) <= limit for cell, limit in zip(row, limits, strict=True)):
        return [row]
    columns = (textwrap.wrap(cell, limit) or [""] for cell, limit in zip(row, limits, strict=True))
    return zip_longest(*columns, fillvalue="")


def ago(milliseconds: int | None) -> str:
    """The time that has passed since a moment, which is given in milliseconds since 1970."""
    if milliseconds is None:
        return ""
    seconds = time.time() - milliseconds / 1000
    return f"{spell_duration(seconds)} ago" if seconds >= _NOW else "just now"


def moment(milliseconds: int | None) -> str:
    """The local date and time of a moment in milliseconds since 1970."""
    return "" if milliseconds is None else _local(milliseconds).strftime("%Y-%m-%d %H:%M")


def clock(milliseconds: int) -> str:
    """The local time of day of a moment in milliseconds since 1970."""
    return _local(milliseconds).strftime("%H:%M:%S")


def exact_clock(milliseconds: int) -> str:
    """The local time of day, to the millisecond."""
    return _local(milliseconds).strftime("%H:%M:%S.%f")[:-3]


def pairs(metadata: Mapping[str, str] | None) -> str:
    """Metadata on one line."""
    return ", ".join(f"{key}={value}" for key, value in (metadata or {}).items())


def _local(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.UTC).astimezone()
