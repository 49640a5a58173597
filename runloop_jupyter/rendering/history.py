"""The timeline of a devbox's states: a bar whose parts are as wide as the states lasted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from ..text.durations import spell_duration
from . import page
from .states import css_class, symbol_of
from .text import clock

_ENDED = ("shutdown", "failure")


def timeline(history: Sequence[tuple[str, int]], ended_ms: int | None = None) -> str:
    """The bar as HTML; empty without a history. Times are in milliseconds since 1970."""
    spans = _spans(history, ended_ms)
    if not spans:
        return ""
    legend = ", ".join(f"{state} {spell_duration((until - since) / 1000)}" for state, since, until in spans)
    return page.bar(legend, [_part(state, since, until) for state, since, until in spans])


def _spans(history: Sequence[tuple[str, int]], ended_ms: int | None) -> list[tuple[str, int, int]]:
    """Each state with its beginning and end. The current state lasts until now."""
    steps = sorted(history, key=lambda step: step[1])  # the API does not promise an order
    if not steps:
        return []
    if steps[-1][0] not in _ENDED:
        steps.append(("", ended_ms or int(time.time() * 1000)))
    return [(state, since, max(until, since)) for (state, since), (_, until) in pairwise(steps)]


def _part(state: str, since: int, until: int) -> tuple[str, str, float]:
    title = f"{state} from {clock(since)} for {spell_duration((until - since) / 1000)}"
    return css_class(symbol_of(state)), title, max(until - since, 1)
