"""Parameters of operations on gateway configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required

from ._options import LongRequestOptions
from .auth import AuthMechanism, CustomHeader
from .lists import SearchParams


class GatewayConfigCreateParams(LongRequestOptions, total=False):
    """A gateway to set up."""

    auth_mechanism: Required[AuthMechanism]
    endpoint: Required[str]
    """The API's URL."""
    name: Required[str]
    custom_headers: Sequence[CustomHeader] | None
    description: str | None


class GatewayConfigUpdateParams(LongRequestOptions, total=False):
    """The properties to change."""

    auth_mechanism: AuthMechanism | None
    custom_headers: Sequence[CustomHeader] | None
    description: str | None
    endpoint: str | None
    name: str | None


class GatewayConfigListParams(SearchParams, total=False):
    """Filters of a list of gateway configurations."""

    id: str | None
    name: str | None
    """Part of the name."""
