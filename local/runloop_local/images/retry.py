"""When a request to a registry is sent again, and after what time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
ATTEMPTS = 5
"""Without progress in between."""
LONGEST_WAIT = 120.0
"""In seconds. A registry that asks for more is told to the user."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between attempts, in seconds: doubled each time."""

    first: float = 0.5

    def wait(self, attempt: int, status: int | None = None, retry_after: float | None = None) -> float | None:
        """The time to wait after this attempt (from 1) failed, with a status or without an answer; None to give up."""
        if attempt >= ATTEMPTS or (status is not None and status not in _STATUSES):
            return None
        if retry_after is not None:
            return retry_after if retry_after <= LONGEST_WAIT else None
        return float(self.first * 2 ** (attempt - 1))


def seconds(retry_after: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for, by number or date; None if it is missing or wrong."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after[:9])
    try:
        then = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
