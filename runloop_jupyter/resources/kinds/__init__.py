"""All kinds of resources, in the order of the panel's tabs. A new kind is a module here and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ..kind import ResourceKind
from .blueprint import BLUEPRINT
from .devbox import DEVBOX
from .network_policy import POLICY
from .secret import SECRET
from .snapshot import SNAPSHOT
from .storage_object import OBJECT

KINDS: Mapping[str, ResourceKind[Any]] = {
    kind.name: kind for kind in (DEVBOX, BLUEPRINT, SNAPSHOT, OBJECT, SECRET, POLICY)
}
"""By name."""


def kind_named(name: str) -> ResourceKind[Any]:
    """Return the kind of this name. Raises `UsageError` where there is none."""
    if name not in KINDS:
        raise UsageError(f"There is no kind of resource {name!r}.")
    return KINDS[name]


def kind_of(view: object) -> ResourceKind[Any]:
    """Return the kind of one of the SDK's views."""
    return next(kind for kind in KINDS.values() if kind.model == type(view).__name__)
