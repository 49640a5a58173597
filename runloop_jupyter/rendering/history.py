"""The states that a devbox has been in, as a bar: each part is as wide as its state was long."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from ..durations import spell_duration
from . import page
from .states import sign_of, tone_of
from .text import clock

_ENDED = ("shutdown", "failure")
_LEAST = 2.0  # percent: short states can be seen and pointed at


def timeline(history: Sequence[tuple[str, int]], ended_ms: int | None = None) -> str:
    """The bar as HTML; empty for a devbox that has been in no state for any time. Times are milliseconds since 1970."""
    spans = _spans(history, ended_ms)
    if not spans:
        return ""
    parts = "".join(_part(state, since, until) for state, since, until in spans)
    legend = ", ".join(f"{state} {spell_duration((until - since) / 1000)}" for state, since, until in spans)
    style = "display: flex; gap: 1px; height: 10px; max-width: 44em; margin: 6px 4px 2px"
    return (
        f'<div role="img" aria-label="{page.escaped(legend)}" style="{style}">{parts}</div>'
        f'<p class="runloop-quiet">{page.escaped(legend)}</p>'
    )


def _spans(history: Sequence[tuple[str, int]], ended_ms: int | None) -> list[tuple[str, int, int]]:
    """Each state with when it began and ended. One that lasts still lasts until now."""
    steps = sorted(history, key=lambda step: step[1])
    if not steps:
        return []
    if steps[-1][0] not in _ENDED:
        steps.append(("", ended_ms or int(time.time() * 1000)))
    return [(state, since, max(until, since)) for (state, since), (_, until) in pairwise(steps)]


def _part(state: str, since: int, until: int) -> str:
    told = f"{state} from {clock(since)} for {spell_duration((until - since) / 1000)}"
    style = f"flex: {max(until - since, 1)} 1 0; min-width: {_LEAST}%; background: currentColor; border-radius: 2px"
    return f'<span class="{tone_of(sign_of(state))}" title="{page.escaped(told)}" style="{style}"></span>'
