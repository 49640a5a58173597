"""API keys."""

from __future__ import annotations

from pydantic import Field

from ._view import View


class APIKeyCreatedView(View):
    """A new API key. `key_secret` is only returned here; the time is in milliseconds since 1970."""

    id: str | None = None
    expires_at_ms: int | None = None
    key_secret: str | None = Field(default=None, repr=False)
    name: str | None = None
