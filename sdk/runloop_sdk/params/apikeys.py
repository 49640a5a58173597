"""Parameters of operations on API keys."""

from __future__ import annotations

from ._options import LongRequestOptions


class ApikeyCreateParams(LongRequestOptions, total=False):
    """The API key to create."""

    expires_at_ms: int | None
    """Milliseconds since 1970."""
    name: str | None
