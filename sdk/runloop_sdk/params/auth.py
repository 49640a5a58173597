"""How a gateway or an MCP hub shall prove itself upstream."""

from __future__ import annotations

from typing import Required, TypedDict


class AuthMechanism(TypedDict, total=False):
    """How the credential is sent: as `bearer` token, or in the `header` named by `key`."""

    type: Required[str]
    key: str | None


class CustomHeader(TypedDict, total=False):
    """A header to add upstream: a fixed `value`, or the content of the `secret` of that name."""

    name: Required[str]
    secret: str | None
    value: str | None
