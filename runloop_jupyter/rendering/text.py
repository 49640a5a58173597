"""Plain text for terminals, and how times and metadata read."""

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
_NARROWEST = 12  # characters to which a column is narrowed
_NOW = 1.0  # seconds in which something counts as happening now


def aligned(
    rows: Iterable[Sequence[str]],
    head: Sequence[str] = (),
    *,
    widest: int | None = None,
    whole: Collection[str] = (),
) -> str:
    """Rows of text as columns.

    With `widest`, what is longer than so many characters goes on below, and in a terminal also what has no room beside
    the other columns; those whose titles are in `whole` are not broken.
    """
    table: list[Sequence[str]] = [[printable(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
    if widest is not None:
        broken = [title not in whole for title in head] or [True] * len(table[0])
        limits = _limits(_widths(table), broken, widest)
        table = [line for row in table for line in _wrapped(row, limits)]
    widths = _widths(table)
    lines = (_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _widths(table: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _limits(widths: Sequence[int], broken: Sequence[bool], widest: int) -> list[int]:
    """How wide each column may be: the widest ones give way until all have room."""
    room = _terminal_width()

    def limited(most: int) -> list[int]:
        return [min(width, most) if breaks else width for width, breaks in zip(widths, broken, strict=True)]

    while room and widest > _NARROWEST and sum(limited(widest)) + len(_GAP) * (len(widths) - 1) > room:
        widest -= 1
    return limited(widest)


def _terminal_width() -> int | None:
    """The columns of the terminal that text is printed to, if it is one."""
    stream = sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream is not None and stream.isatty() else None
    except (OSError, ValueError, AttributeError):  # as in Spyder: a stream that says it is a terminal, and has no file
        return None


def _wrapped(row: Sequence[str], limits: Sequence[int]) -> Iterable[Sequence[str]]:
    if all(len(cell) <= limit for cell, limit in zip(row, limits, strict=True)):
        return [row]
    columns = (textwrap.wrap(cell, limit) or [""] for cell, limit in zip(row, limits, strict=True))
    return zip_longest(*columns, fillvalue="")


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


def exact_clock(milliseconds: int) -> str:
    """The same to the millisecond."""
    return _local(milliseconds).strftime("%H:%M:%S.%f")[:-3]


def pairs(metadata: Mapping[str, str] | None) -> str:
    """Metadata on one line."""
    return ", ".join(f"{key}={value}" for key, value in (metadata or {}).items())


def _local(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, tz=datetime.UTC).astimezone()
