"""Storage objects."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ._view import View

ObjectContentType = Literal["unspecified", "text", "binary", "gzip", "tar", "tgz"] | str
ObjectState = Literal["UPLOADING", "READ_ONLY", "DELETED", "ERROR"] | str


class ObjectView(View):
    """A storage object. While it is UPLOADING its bytes are PUT to `upload_url` with `upload_headers`.

    Times are milliseconds since 1970.
    """

    id: str
    content_type: ObjectContentType
    create_time_ms: int
    name: str
    state: ObjectState
    delete_after_time_ms: int | None = None
    metadata: dict[str, str] | None = None
    size_bytes: int | None = None
    upload_headers: dict[str, str] | None = Field(default=None, repr=False)
    upload_url: str | None = Field(default=None, repr=False)


class ObjectDownloadURLView(View):
    """A URL that gives the object's bytes to whoever has it."""

    download_url: str = Field(repr=False)
