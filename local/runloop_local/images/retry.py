"""When a request to a registry is sent again, and after what time."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
ATTEMPTS = 5
"""Without progress in between."""
_UNREACHABLE_ATTEMPTS = 3
"""Where nobody has answered yet: enough for a registry that starts again, and soon told to who mistyped a name."""
LONGEST_WAIT = 120.0
"""In seconds. A registry that asks for more is told to the user."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between attempts, in seconds: doubled each time."""

    first: float = 0.5

    def wait(
        self, attempt: int, status: int | None = None, retry_after: float | None = None, attempts: int = ATTEMPTS
    ) -> float | None:
        """The time to wait after this attempt (from 1) failed, with a status or without an answer; None to give up."""
        if attempt >= attempts or (status is not None and status not in _STATUSES):
            return None
        if retry_after is not None:
            return retry_after if retry_after <= LONGEST_WAIT else None
        return float(self.first * 2 ** (attempt - 1))


def attempts_after(error: Exception | None) -> int:
    """How often a request is sent that fails with this error; None stands for an answer that ended too early."""
    causes = [] if error is None else [*_causes(error)]
    if any(isinstance(cause, ssl.SSLCertVerificationError) or _is_unknown_name(cause) for cause in causes):
        return 1
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return _UNREACHABLE_ATTEMPTS
    return ATTEMPTS if error is None or isinstance(error, httpx.TransportError) else 1


def reason(error: Exception) -> str:
    """What went wrong, in the words of the system where it has some."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, socket.gaierror):
            return str(cause.strerror)
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    if isinstance(error, httpx.ConnectTimeout):
        return "nobody answers"
    return str(error) or type(error).__name__


def _is_unknown_name(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was raised from, the first of several at once."""
    found: BaseException | None = error
    while found is not None:
        yield found
        below = found.exceptions[0] if isinstance(found, BaseExceptionGroup) else None
        found = below or found.__cause__ or found.__context__


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
