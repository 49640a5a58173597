"""Files that come from the page in pieces and become storage objects or a devbox's files, never whole in memory."""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

from ..operations.transfers import upload_object
from ..resources.kinds.storage_object import OBJECT
from ..text.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..session import Session
    from .feed import Feed

_SMALL = 8 << 20  # bytes that stay in memory


class Upload:
    """One file on its way. It is kept on disk until it is whole: a store wants to know its size at the beginning."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received = 0
        self._turn = asyncio.Lock()  # pieces are written in the order in which they came
        self._file = cast("BinaryIO", tempfile.SpooledTemporaryFile(_SMALL))  # noqa: SIM115 - closed by `close`

    async def put(self, piece: bytes) -> None:
        """The next piece."""
        async with self._turn:
            await asyncio.to_thread(self._file.write, piece)
            self.received += len(piece)

    async def content(self) -> BinaryIO:
        """All that came, to be read from its start."""
        async with self._turn:
            await asyncio.to_thread(self._file.seek, 0)
        return self._file

    def close(self) -> None:
        """Forget the file."""
        self._file.close()


class ObjectUploads:
    """The files on their way from a panel's page to the object store. `say` tells the user, `post` the page."""

    def __init__(self, session: Session, feed: Feed, say: Callable[[str], None], post: Callable[..., None]) -> None:
        self._session = session
        self._feed = feed
        self._say = say
        self._post = post
        self._uploads: dict[str, Upload] = {}

    def begin(self, key: str, name: str) -> None:
        """Expect a file, which the page calls `key`."""
        self._uploads[key] = Upload(name)
        self._post("upload", key=key, received=0)

    async def take(self, key: str, piece: bytes) -> None:
        """Take the next piece of a file."""
        upload = self._uploads[key]
        await upload.put(piece)
        self._post("upload", key=key, received=upload.received)

    async def end(self, key: str, whole: bool) -> None:
        """Make a storage object of a file that is `whole`, or forget it."""
        upload = self._uploads.pop(key)
        try:
            if whole:
                await self._session.client.guard(self._store(upload))
                self._say(f"Uploaded {upload.name}.")
        finally:
            upload.close()
            self._post("upload", key=key, done=True)

    def close(self) -> None:
        """Forget all files."""
        for upload in self._uploads.values():
            upload.close()
        self._uploads.clear()

    async def _store(self, upload: Upload) -> None:
        """Make a storage object of a file, deleted again where its bytes cannot be sent."""
        sdk, content = await self._session.client.sdk(), await upload.content()
        view = await upload_object(sdk, content, upload.name, progress=Progress(""))
        self._session.names.add(OBJECT.name, view.name)
        self._feed.put(OBJECT.name, view.model_dump(exclude={"upload_url", "upload_headers"}))
