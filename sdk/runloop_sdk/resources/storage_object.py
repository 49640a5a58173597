"""Storage objects: files that outlive devboxes and can be mounted into them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Unpack, cast

from .._arguments import check_arguments
from .._downloads import Progress, reported, resumed
from .._errors import APIStatusError, ConfigurationError, RunloopError
from .._local_files import open_local
from .._pagination import ResourceListing
from .._upload import UploadSource, open_upload, with_progress
from ..archives import SMALL, TarFilter, pack
from ..cancellation import run_undo
from ..params._options import LongRequestOptions, RequestOptions
from ..params.blueprints import BuildContext
from ..params.objects import ObjectContentType, ObjectCreateParams, ObjectDownloadParams, ObjectListParams

if TYPE_CHECKING:
    from ..api._client import AsyncRunloopAPI
    from ..models.objects import ObjectDownloadURLView, ObjectView

_BY_SUFFIX: dict[str, ObjectContentType] = {
    ".txt": "text", ".md": "text", ".csv": "text", ".json": "text", ".html": "text", ".py": "text", ".yaml": "text",
    ".tgz": "tgz", ".tar.gz": "tgz", ".tar": "tar", ".gz": "gzip",
}  # fmt: skip


@check_arguments
class AsyncStorageObject:
    """One storage object."""

    def __init__(
        self,
        api: AsyncRunloopAPI,
        object_id: str,
        upload_url: str | None = None,
        upload_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self._id = object_id
        self._upload_url = upload_url
        self._upload_headers = dict(upload_headers or {})

    def __repr__(self) -> str:
        return f"<AsyncStorageObject {self._id}>"

    @property
    def id(self) -> str:
        """The object's id."""
        return self._id

    @property
    def upload_url(self) -> str | None:
        """The URL to PUT its bytes to, while it is UPLOADING; secret, as anyone who has it may write."""
        return self._upload_url

    async def refresh(self, **options: Unpack[RequestOptions]) -> ObjectView:
        """The object as it is now (`GET /v1/objects/{id}`)."""
        return await self._api.objects.retrieve(self._id, **options)

    async def complete(self, **options: Unpack[LongRequestOptions]) -> ObjectView:
        """Finish the upload; from then on the object is read-only (`POST /v1/objects/{id}/complete`)."""
        view = await self._api.objects.complete(self._id, **options)
        self._upload_url = None
        return view

    async def delete(self, **options: Unpack[LongRequestOptions]) -> ObjectView:
        """Delete the object (`POST /v1/objects/{id}/delete`)."""
        return await self._api.objects.delete(self._id, **options)

    async def upload_content(
        self, content: str | Iterable[bytes] | UploadSource, *, progress: Progress | None = None
    ) -> None:
        """Send its bytes: text, bytes, a `Path`, an open file, or an iterable of bytes, async or not, of any size.

        `progress` gets the number of bytes sent so far.
        """
        if self._upload_url is None:
            raise ConfigurationError(f"Object {self._id} takes no upload: only a new one has an upload URL.")
        upload = await open_upload(_source(content))
        if progress is not None:
            upload = with_progress(upload, progress)
        await self._api.objects.put_presigned(self._upload_url, upload, self._upload_headers)

    async def upload_and_complete(
        self, content: str | Iterable[bytes] | UploadSource, *, progress: Progress | None = None
    ) -> ObjectView:
        """Upload the bytes and complete the object. If that fails it is deleted, unless it may be complete."""
        try:
            await self.upload_content(content, progress=progress)
        except (RunloopError, OSError, asyncio.CancelledError) as error:
            await run_undo(self.delete(), error)
            raise
        return await self._completed()

    async def _completed(self) -> ObjectView:
        try:
            return await self.complete()
        except RunloopError as error:
            view = await self._state_after(error)  # the request may have been carried out, and only its answer lost
            if view is not None and view.state == "READ_ONLY":
                self._upload_url = None
                return view
            if view is not None and isinstance(error, APIStatusError):
                await run_undo(self.delete(), error)
            else:
                error.add_note(f"Storage object {self._id} was left as it is: it may still be completed.")
            raise

    async def _state_after(self, error: RunloopError) -> ObjectView | None:
        """The state of the object after a failure; None, with a note on `error`, if it cannot be requested."""
        try:
            return await self.refresh()
        except RunloopError as lost:
            error.add_note(f"What became of storage object {self._id} is not known: {lost}")
            return None

    async def get_download_url(self, **params: Unpack[ObjectDownloadParams]) -> ObjectDownloadURLView:
        """A URL that works for `duration_seconds`, without the API key (`GET /v1/objects/{id}/download`)."""
        return await self._api.objects.download(self._id, **params)

    async def download_as_bytes(self, **params: Unpack[ObjectDownloadParams]) -> bytes:
        """Its bytes, all in memory."""
        async with self.stream(**params) as pieces:
            return b"".join([piece async for piece in pieces])

    async def download_as_text(self, **params: Unpack[ObjectDownloadParams]) -> str:
        """Its bytes decoded as UTF-8."""
        return (await self.download_as_bytes(**params)).decode()

    async def download_to(
        self, path: Path, *, progress: Progress | None = None, **params: Unpack[ObjectDownloadParams]
    ) -> None:
        """Download its bytes to a local file; `progress` gets the number of bytes written so far."""
        with await open_local(path, "wb") as file:

            @asynccontextmanager
            async def save_from(offset: int) -> AsyncIterator[AsyncIterator[int]]:
                url = (await self.get_download_url(**params)).download_url
                async with self._api.objects.save_presigned(url, file, offset=offset) as sizes:
                    yield sizes

            async with aclosing(resumed(save_from, self._api.config.max_retries, int)) as sizes:
                await reported(sizes, progress)

    @asynccontextmanager
    async def stream(self, **params: Unpack[ObjectDownloadParams]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Its bytes as they arrive, in constant memory, resumed where a connection was cut."""

        @asynccontextmanager
        async def open_at(offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
            url = (await self.get_download_url(**params)).download_url
            async with self._api.objects.get_presigned(url, offset=offset) as pieces:
                yield pieces

        async with aclosing(resumed(open_at, self._api.config.max_retries, len)) as pieces:
            yield pieces

    def as_build_context(self) -> BuildContext:
        """The object as the `build_context` of a blueprint."""
        return {"type": "object", "object_id": self._id}


@check_arguments
class AsyncStorageObjectOps:
    """`sdk.storage_object`: upload and find storage objects."""

    def __init__(self, api: AsyncRunloopAPI) -> None:
        self._api = api

    async def create(self, **params: Unpack[ObjectCreateParams]) -> AsyncStorageObject:
        """A new object without content yet: `upload_content`, then `complete` it (`POST /v1/objects`)."""
        view = await self._api.objects.create(**params)
        return AsyncStorageObject(self._api, view.id, view.upload_url, view.upload_headers)

    def from_id(self, object_id: str) -> AsyncStorageObject:
        """The object with this id; sends no request."""
        return AsyncStorageObject(self._api, object_id)

    def list(self, **params: Unpack[ObjectListParams]) -> ResourceListing[ObjectView, AsyncStorageObject]:
        """Objects, newest first: `await` gives a list of one page, or `async for` (`GET /v1/objects`)."""
        listing = self._api.objects.list(**params)
        return ResourceListing(
            listing, lambda view: AsyncStorageObject(self._api, view.id, view.upload_url, view.upload_headers)
        )

    async def upload_from_file(
        self,
        file_path: str | Path,
        name: str | None = None,
        *,
        content_type: ObjectContentType | None = None,
        metadata: Mapping[str, str] | None = None,
        ttl: timedelta | None = None,
        **options: Unpack[LongRequestOptions],
    ) -> AsyncStorageObject:
        """A complete object with a file's bytes, named like it by default; `LocalFileError` if it cannot be read."""
        path = Path(file_path)
        kind = content_type or content_type_of(path.name)
        return await self._upload(path, name or path.name, kind, metadata, ttl, options)

    async def upload_from_text(
        self,
        text: str,
        name: str,
        *,
        metadata: Mapping[str, str] | None = None,
        ttl: timedelta | None = None,
        **options: Unpack[LongRequestOptions],
    ) -> AsyncStorageObject:
        """A complete object with this text."""
        return await self._upload(text, name, "text", metadata, ttl, options)

    async def upload_from_bytes(
        self,
        data: bytes,
        name: str,
        *,
        content_type: ObjectContentType,
        metadata: Mapping[str, str] | None = None,
        ttl: timedelta | None = None,
        **options: Unpack[LongRequestOptions],
    ) -> AsyncStorageObject:
        """A complete object with these bytes."""
        return await self._upload(data, name, content_type, metadata, ttl, options)

    async def upload_from_dir(
        self,
        dir_path: str | Path,
        name: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        ttl: timedelta | None = None,
        ignore: TarFilter | None = None,
        **options: Unpack[LongRequestOptions],
    ) -> AsyncStorageObject:
        """A complete object with a folder as `tgz`; `ignore` may change or leave out members. Packed on disk."""
        folder = Path(dir_path)
        with tempfile.SpooledTemporaryFile(max_size=SMALL) as packed:
            archive = cast("BinaryIO", packed)
            await asyncio.to_thread(pack, folder, archive, ignore)
            named = name or f"{(await asyncio.to_thread(folder.resolve)).name}.tar.gz"
            return await self._upload(archive, named, "tgz", metadata, ttl, options)

    async def _upload(
        self,
        content: str | UploadSource,
        name: str,
        content_type: ObjectContentType,
        metadata: Mapping[str, str] | None,
        ttl: timedelta | None,
        options: LongRequestOptions,
    ) -> AsyncStorageObject:
        await open_upload(_source(content))  # raises before an object is created, if the file cannot be read
        ttl_ms = None if ttl is None else int(ttl.total_seconds() * 1000)
        made = await self.create(name=name, content_type=content_type, metadata=metadata, ttl_ms=ttl_ms, **options)
        await made.upload_and_complete(content)
        return made


def content_type_of(name: str) -> ObjectContentType:
    """The API's content type for a file of this name; `binary` for unknown ones."""
    lower = name.lower()
    return next((kind for suffix, kind in _BY_SUFFIX.items() if lower.endswith(suffix)), "binary")


def _source(content: str | Iterable[bytes] | UploadSource) -> UploadSource:
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, Iterable) and not isinstance(content, bytes | bytearray) and not hasattr(content, "read"):
        return _each(content)
    return cast("UploadSource", content)


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
