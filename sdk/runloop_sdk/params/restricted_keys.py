"""Parameters of operations on restricted keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from .apikeys import ApikeyCreateParams


class ScopeEntry(TypedDict, total=False):
    """The access of a key to one kind of resource."""

    access_level: Literal["ACCESS_LEVEL_NONE", "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE"]
    resource_type: Literal[
        "RESOURCE_TYPE_DEVBOXES",
        "RESOURCE_TYPE_BLUEPRINTS",
        "RESOURCE_TYPE_SNAPSHOTS",
        "RESOURCE_TYPE_OBJECTS",
        "RESOURCE_TYPE_ACCOUNT",
    ]


class RestrictedKeyCreateParams(ApikeyCreateParams, total=False):
    """The API key to create, and its permissions."""

    scopes: Sequence[ScopeEntry] | None
