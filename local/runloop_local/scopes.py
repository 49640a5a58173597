"""Which operations of the API a restricted key may use. Decides by method and path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine.storage.keys import Key, Level, Resource

# Whole paths: the last part of another may be a name that somebody has chosen, as that of a secret is.
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
    """Whether the holder of `key` may send this request."""
    return key.allows(*needed(method, path))


def needed(method: str, path: str) -> tuple[Resource, Level]:
    """What a request needs: a resource, and how far it must be open."""
    found: Iterator[Resource] = (name for pattern, name in _RESOURCES if pattern.match(path))
    level: Level = "ACCESS_LEVEL_READ" if is_reading(method, path) else "ACCESS_LEVEL_WRITE"
    return next(found, "RESOURCE_TYPE_ACCOUNT"), level


def is_reading(method: str, path: str) -> bool:
    """Whether a request, or all requests of a route with this path, make and change nothing."""
    return method in ("GET", "HEAD") or (method == "POST" and _READING.fullmatch(path) is not None)


def may_enter(key: Key) -> bool:
    """Whether the holder of `key` may run something in devboxes, and so be told what lets in by their tunnels."""
    return key.allows("RESOURCE_TYPE_DEVBOXES", "ACCESS_LEVEL_WRITE")
