"""Decides by method and path which operations of the API a restricted key may use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine.storage.keys import Key, Level, Resource

# Full paths, as the last part of another path may be a name chosen by a user: that of a secret, for example.
_READING = re.compile(
    r"/v1/devboxes/(?!disk_snapshots/)[^/]+/(wait_for_status|executions/[^/]+/wait_for_status|read_file_contents"
    r"|download_file)|/v1/blueprints/preview",
    re.DOTALL,
)
_RESOURCES: tuple[tuple[re.Pattern[str], Resource], ...] = (
    (re.compile(r"/v1/devboxes/(disk_snapshots\b|[^/]+/snapshot_disk)"), "RESOURCE_TYPE_SNAPSHOTS"),
    (re.compile(r"/(v1/devboxes|local/kernels)\b"), "RESOURCE_TYPE_DEVBOXES"),
    (re.compile(r"/v1/blueprints\b"), "RESOURCE_TYPE_BLUEPRINTS"),
    (re.compile(r"/v1/objects\b"), "RESOURCE_TYPE_OBJECTS"),
)


def is_open(key: Key, method: str, path: str) -> bool:
    """True if this key may send the request."""
    return key.allows(*required_access(method, path))


def required_access(method: str, path: str) -> tuple[Resource, Level]:
    """The resource and the access level that a request needs."""
    found: Iterator[Resource] = (name for pattern, name in _RESOURCES if pattern.match(path))
    level: Level = "ACCESS_LEVEL_READ" if is_read_only(method, path) else "ACCESS_LEVEL_WRITE"
    return next(found, "RESOURCE_TYPE_ACCOUNT"), level


def is_read_only(method: str, path: str) -> bool:
    """True if requests to this path change nothing."""
    return method in ("GET", "HEAD") or (method == "POST" and _READING.fullmatch(path) is not None)


def may_run_commands(key: Key) -> bool:
    """True if this key may run commands in devboxes, and may therefore see the credentials of their tunnels."""
    return key.allows("RESOURCE_TYPE_DEVBOXES", "ACCESS_LEVEL_WRITE")
