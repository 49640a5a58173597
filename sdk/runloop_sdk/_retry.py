"""When to ask again, and after how long. Decides only; `_transport.py` and `_streams.py` do the waiting."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping

from ._errors import APIConnectionError, APIStatusError

FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
LONGEST_RETRY_AFTER = 60.0


def is_retryable(error: Exception) -> bool:
    """Whether the same request may succeed if sent again."""
    return isinstance(error, APIStatusError | APIConnectionError) and error.retryable


def backoff(attempt: int) -> float:
    """Seconds to wait before attempt number `attempt` + 1 (the first try is number 0), with jitter."""
    delay = min(FIRST_DELAY * 2.0**attempt, LONGEST_DELAY)
    return delay * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret


def retry_after(headers: Mapping[str, str], *, longest: float = LONGEST_RETRY_AFTER) -> float | None:
    """The wait in seconds that an answer asks for (`retry-after-ms`, `retry-after` in seconds or until a date).

    None where it asks for none, or for one of more than `longest` seconds.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            seconds = _until(headers.get(name, ""))
        if 0 <= seconds <= longest:
            return seconds
    return None


def _until(date: str) -> float:
    """Seconds from now until an HTTP date; infinitely many until what is none."""
    then = seconds_of(date)
    return math.inf if then is None else max(0.0, then - time.time())


def seconds_of(date: str) -> float | None:
    """An HTTP date in seconds since 1970; None for what is no date."""
    if not date:
        return None
    from email.utils import mktime_tz, parsedate_tz

    parts = parsedate_tz(date)
    return None if parts is None else float(mktime_tz(parts))
