"""Which operations of the API a restricted key may use. Decides by method and path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine.keys import Key, Level, Resource

_READING = re.compile(r"/(wait_for_status|read_file_contents|download_file|preview)$")
_RESOURCES: tuple[tuple[re.Pattern[str], Resource], ...] = (
    (re.compile(r"/v1/devboxes/(disk_snapshots\b|[^/]+/snapshot_disk)"), "RESOURCE_TYPE_SNAPSHOTS"),
    (re.compile(r"/v1/devboxes\b"), "RESOURCE_TYPE_DEVBOXES"),
    (re.compile(r"/v1/blueprints\b"), "RESOURCE_TYPE_BLUEPRINTS"),
    (re.compile(r"/v1/objects\b"), "RESOURCE_TYPE_OBJECTS"),
)


def is_open(key: Key, method: str, path: str) -> bool:
    """Whether the holder of `key` may send this request."""
    return key.allows(*needed(method, path))


def needed(method: str, path: str) -> tuple[Resource, Level]:
    """What a request needs: a resource, and how far it must be open."""
    found: Iterator[Resource] = (name for pattern, name in _RESOURCES if pattern.match(path))
    reading = method in ("GET", "HEAD") or _READING.search(path) is not None
    return next(found, "RESOURCE_TYPE_ACCOUNT"), "ACCESS_LEVEL_READ" if reading else "ACCESS_LEVEL_WRITE"
