"""The credentials that a gateway or an MCP hub sends upstream."""

from __future__ import annotations

from typing import Required, TypedDict


class AuthMechanism(TypedDict, total=False):
    """The way to send the credential: as a `bearer` token, or in the `header` named by `key`."""

    type: Required[str]
    key: str | None


class CustomHeader(TypedDict, total=False):
    """A header to add upstream: a fixed `value`, or the content of the `secret` of that name."""

    name: Required[str]
    secret: str | None
    value: str | None
