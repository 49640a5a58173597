"""The retry policy. Decides, and does not wait: `_transport.py`, `_resume.py` and others use it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from ._errors import APIConnectionError, APIStatusError

FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
LONGEST_RETRY_AFTER = 60.0


def is_retryable(error: Exception) -> bool:
    """True if the same request may succeed when sent again."""
    return isinstance(error, APIStatusError | APIConnectionError) and error.retryable


def backoff(attempt: int) -> float:
    """Seconds to wait before attempt number `attempt` + 1 (the first try is number 0), with jitter."""
    import random  # only what fails needs it

    # The jitter keeps many clients that one outage has cut off from all coming back at the same moment.
    delay = min(FIRST_DELAY * 2.0**attempt, LONGEST_DELAY)
    return delay * random.uniform(0.75, 1.0)  # noqa: S311 - not a secret


def retry_after(headers: Mapping[str, str], *, longest: float = LONGEST_RETRY_AFTER) -> float | None:
    """The delay in seconds that a response asks for (`retry-after-ms`, or `retry-after` in seconds or as a date).

    None if it asks for none, or for more than `longest` seconds.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            seconds = _until(headers.get(name, ""))
        # A NaN, which float() reads too, fails this as a date of the past or of next year does.
        if 0 <= seconds <= longest:
            return seconds
    return None


def _until(date: str) -> float:
    """Seconds from now until an HTTP date; infinity for a malformed one."""
    then = parse_http_date(date)
    return math.inf if then is None else max(0.0, then - time.time())


def parse_http_date(date: str) -> float | None:
    """An HTTP date in seconds since 1970; None if it is malformed."""
    if not date:
        return None
    from email.utils import mktime_tz, parsedate_tz

    parts = parsedate_tz(date)
    return None if parts is None else float(mktime_tz(parts))
