"""Secrets: the API stores their values and never returns them."""

from __future__ import annotations

from ._view import View


class SecretView(View):
    """A secret without its value; times are milliseconds since 1970."""

    id: str
    create_time_ms: int
    name: str
    update_time_ms: int
