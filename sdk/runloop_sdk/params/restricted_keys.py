"""What operations on restricted keys take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from .apikeys import ApikeyCreateParams


class ScopeEntry(TypedDict, total=False):
    """What the key may do with one kind of resource."""

    access_level: Literal["ACCESS_LEVEL_NONE", "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE"]
    resource_type: Literal[
        "RESOURCE_TYPE_DEVBOXES",
        "RESOURCE_TYPE_BLUEPRINTS",
        "RESOURCE_TYPE_SNAPSHOTS",
        "RESOURCE_TYPE_OBJECTS",
        "RESOURCE_TYPE_ACCOUNT",
    ]


class RestrictedKeyCreateParams(ApikeyCreateParams, total=False):
    """An API key to make, and all that it may do."""

    scopes: Sequence[ScopeEntry] | None
