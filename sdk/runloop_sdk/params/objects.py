"""Parameters of operations on storage objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Required

from ._options import LongRequestOptions, RequestOptions
from .lists import SearchParams

ObjectContentType = Literal["unspecified", "text", "binary", "gzip", "tar", "tgz"]


class ObjectCreateParams(LongRequestOptions, total=False):
    """The storage object to create."""

    content_type: Required[ObjectContentType]
    name: Required[str]
    metadata: Mapping[str, str] | None
    ttl_ms: int | None
    """Milliseconds after which it is deleted."""


class ObjectListParams(SearchParams, total=False):
    """Filters of a list of storage objects."""

    content_type: ObjectContentType | None
    name: str | None
    """Part of the name."""
    state: Literal["UPLOADING", "READ_ONLY", "DELETED", "ERROR"] | None


ObjectListPublicParams = ObjectListParams


class ObjectDownloadParams(RequestOptions, total=False):
    """The validity of the URL."""

    duration_seconds: int | None
    """Seconds; 3600 by default."""
