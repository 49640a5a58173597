"""`.api.objects`: storage objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack
from urllib.parse import parse_qsl, urlsplit

from .. import models
from .._config import LONG_TIMEOUT
from .._downloads import skip_bytes
from .._local_files import written
from .._transport import Request
from .._upload import Upload
from ..params._options import LongRequestOptions, RequestOptions
from ..params.objects import ObjectCreateParams, ObjectDownloadParams, ObjectListParams, ObjectListPublicParams
from ._resource import APIResource, path_of

if TYPE_CHECKING:
    from .._messages import HTTPAnswer
    from .._pagination import Listing


class ObjectsAPI(APIResource):
    """Operations on storage objects."""

    async def create(self, **params: Unpack[ObjectCreateParams]) -> models.ObjectView:
        """A new object: PUT its bytes to `upload_url`, without the API key, then `complete` it (`POST /v1/objects`)."""
        return await self._post("/v1/objects", params, lambda: models.ObjectView)

    async def retrieve(self, id: str, **options: Unpack[RequestOptions]) -> models.ObjectView:
        """An object, deleted ones too (`GET /v1/objects/{id}`)."""
        return await self._get(path_of("/v1/objects/{}", id), options, lambda: models.ObjectView)

    def list(self, **params: Unpack[ObjectListParams]) -> Listing[models.ObjectView]:
        """Objects, newest first (`GET /v1/objects`)."""
        return self._list("/v1/objects", params, lambda: models.ObjectView, items="objects")

    def list_public(self, **params: Unpack[ObjectListPublicParams]) -> Listing[models.ObjectView]:
        """Objects that everybody may use (`GET /v1/objects/list_public`)."""
        return self._list("/v1/objects/list_public", params, lambda: models.ObjectView, items="objects")

    async def complete(self, id: str, **options: Unpack[LongRequestOptions]) -> models.ObjectView:
        """The object, now that its bytes are uploaded (`POST /v1/objects/{id}/complete`)."""
        return await self._post_empty(path_of("/v1/objects/{}/complete", id), options, lambda: models.ObjectView)

    async def download(self, id: str, **params: Unpack[ObjectDownloadParams]) -> models.ObjectDownloadURLView:
        """A URL to get its bytes from, without the API key (`GET /v1/objects/{id}/download`)."""
        return await self._get(path_of("/v1/objects/{}/download", id), params, lambda: models.ObjectDownloadURLView)

    async def delete(self, id: str, **options: Unpack[LongRequestOptions]) -> models.ObjectView:
        """Delete the object (`POST /v1/objects/{id}/delete`)."""
        return await self._post_empty(path_of("/v1/objects/{}/delete", id), options, lambda: models.ObjectView)

    # Bytes travel by presigned URLs, which name another host and carry their own permission

    async def put_presigned(self, url: str, upload: Upload, headers: Mapping[str, str]) -> None:
        """Send an object's bytes to its `upload_url`, without the API key; retried if they can be read again."""
        request = _presigned("PUT", url, content=upload.content, headers={**upload.headers, **headers})
        await self._transport.send(request)

    @asynccontextmanager
    async def get_presigned(self, url: str, *, offset: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an object from `offset` on, as they arrive, by its `download_url` and without the API key."""
        async with self._opened(url, offset) as (answer, request, skip):
            async with aclosing(self._transport.body(answer, request)) as pieces:
                yield skip_bytes(pieces, skip)

    @asynccontextmanager
    async def save_presigned(self, url: str, file: BinaryIO, *, offset: int = 0) -> AsyncIterator[AsyncIterator[int]]:
        """The same bytes, written to a file as they arrive; yields the number of each piece."""
        async with self._opened(url, offset) as (answer, request, skip):
            if skip:
                async with aclosing(self._transport.body(answer, request)) as pieces:
                    yield written(file, skip_bytes(pieces, skip))
            else:
                async with aclosing(self._transport.saved(answer, request, file)) as sizes:
                    yield sizes

    @asynccontextmanager
    async def _opened(self, url: str, offset: int) -> AsyncIterator[tuple[HTTPAnswer, Request, int]]:
        """The answer with the bytes from `offset` on, its request, and the bytes to skip in it."""
        request = _presigned("GET", url, headers={"range": f"bytes={offset}-"} if offset else {})
        async with self._transport.open(request) as answer:
            yield answer, request, offset if answer.status == 200 else 0  # a host without ranges sends all of it


def _presigned(method: str, url: str, **more: Any) -> Request:
    # The query has the signature; kept apart from the path, it does not appear in errors.
    parts = urlsplit(url)
    base_url, query = f"{parts.scheme}://{parts.netloc}", dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, parts.path or "/", base_url=base_url, query=query, timeout=LONG_TIMEOUT, **more)
