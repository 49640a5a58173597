"""What operations on storage objects take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Required

from ._options import LongRequestOptions, RequestOptions
from .lists import SearchParams

ObjectContentType = Literal["unspecified", "text", "binary", "gzip", "tar", "tgz"]


class ObjectCreateParams(LongRequestOptions, total=False):
    """A storage object to begin."""

    content_type: Required[ObjectContentType]
    name: Required[str]
    metadata: Mapping[str, str] | None
    ttl_ms: int | None
    """Milliseconds after which it is deleted."""


class ObjectListParams(SearchParams, total=False):
    """Which objects to list."""

    content_type: ObjectContentType | None
    name: str | None
    """Part of the name."""
    state: Literal["UPLOADING", "READ_ONLY", "DELETED", "ERROR"] | None


ObjectListPublicParams = ObjectListParams


class ObjectDownloadParams(RequestOptions, total=False):
    """How long the URL shall work."""

    duration_seconds: int | None
    """1 hour by default."""
