"""The credentials that a gateway or an MCP hub sends upstream."""

from __future__ import annotations

from pydantic import Field

from ._view import View


class AuthMechanism(View):
    """The way the credential is sent: `type` is `bearer`, or `header` with its name in `key`."""

    type: str
    key: str | None = None


class CustomHeader(View):
    """A header added to upstream requests: a fixed `value`, or the content of the `secret` of that name."""

    name: str
    secret: str | None = None
    value: str | None = Field(default=None, repr=False)
