"""How a gateway or an MCP hub proves itself upstream."""

from __future__ import annotations

from pydantic import Field

from ._view import View


class AuthMechanism(View):
    """How the credential is sent: `type` is `bearer` or `header`, `key` then is the header's name."""

    type: str
    key: str | None = None


class CustomHeader(View):
    """A header added to upstream requests: a fixed `value`, or the content of the `secret` of that name."""

    name: str
    secret: str | None = None
    value: str | None = Field(default=None, repr=False)
