"""Secrets: the API keeps their values and never tells them."""

from __future__ import annotations

from ._view import View


class SecretView(View):
    """A secret without its value; times are milliseconds since 1970."""

    id: str
    create_time_ms: int
    name: str
    update_time_ms: int
