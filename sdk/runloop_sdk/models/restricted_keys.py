"""API keys with restricted permissions."""

from __future__ import annotations

from typing import Literal

from ._view import View
from .apikeys import APIKeyCreatedView

AccessLevel = Literal["ACCESS_LEVEL_NONE", "ACCESS_LEVEL_READ", "ACCESS_LEVEL_WRITE"] | str
ResourceType = (
    Literal[
        "RESOURCE_TYPE_DEVBOXES",
        "RESOURCE_TYPE_BLUEPRINTS",
        "RESOURCE_TYPE_SNAPSHOTS",
        "RESOURCE_TYPE_OBJECTS",
        "RESOURCE_TYPE_ACCOUNT",
    ]
    | str
)


class ScopeEntryView(View):
    """The access of a key to one kind of resource."""

    access_level: AccessLevel | None = None
    resource_type: ResourceType | None = None


class RestrictedKeyCreatedView(APIKeyCreatedView):
    """A new restricted key. `key_secret` is only returned here."""

    scopes: list[ScopeEntryView] | None = None
