"""What operations on API keys take."""

from __future__ import annotations

from ._options import LongRequestOptions


class ApikeyCreateParams(LongRequestOptions, total=False):
    """An API key to make."""

    expires_at_ms: int | None
    """Milliseconds since 1970."""
    name: str | None
