"""Files that come from the page in pieces and become storage objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MagicError
from ..operations.transfers import upload_object
from ..resources.kinds.storage_object import OBJECT
from ..text.progress import Progress
from ..widgets.protocol import panel as messages
from ..widgets.uploads import Upload

if TYPE_CHECKING:
    from ..session import Session
    from ..widgets.channel import Channel
    from .feed import Feed


class ObjectUploads:
    """The files on their way from a panel's page to the object store, by the names that the page gives them."""

    def __init__(self, session: Session, feed: Feed, channel: Channel) -> None:
        self._session = session
        self._feed = feed
        self._channel = channel
        self._uploads: dict[str, Upload] = {}
        channel.on(messages.Upload, self._begin)
        channel.on(messages.UploadPart, self._take)
        channel.on(messages.UploadEnd, self._end)

    def close(self) -> None:
        """Forget all files."""
        for upload in self._uploads.values():
            upload.close()
        self._uploads.clear()

    def _begin(self, view: str, wanted: messages.Upload) -> None:
        self._uploads[wanted.key] = Upload(wanted.name)
        self._channel.post(messages.UploadProgress(wanted.key, 0), view=view)

    async def _take(self, view: str, part: messages.UploadPart) -> None:
        upload = self._known(part.key)
        await upload.put(part.data)
        self._channel.post(messages.UploadProgress(part.key, upload.received), view=view)

    async def _end(self, view: str, end: messages.UploadEnd) -> None:
        """Make a storage object of a file that is whole, or forget it."""
        upload = self._known(end.key)
        del self._uploads[end.key]
        try:
            if end.whole:
                await self._session.client.guard(self._store(upload))
                self._channel.post(messages.Notice(f"Uploaded {upload.name}.", error=False))
        finally:
            upload.close()
            self._channel.post(messages.UploadProgress(end.key, upload.received, done=True), view=view)

    def _known(self, key: str) -> Upload:
        if key not in self._uploads:
            raise MagicError("A file came of which nothing is known any more: upload it again.")
        return self._uploads[key]

    async def _store(self, upload: Upload) -> None:
        """Make a storage object of a file, deleted again where its bytes cannot be sent."""
        sdk, content = await self._session.client.sdk(), await upload.content()
        view = await upload_object(sdk, content, upload.name, progress=Progress(""))
        self._session.names.add(OBJECT.name, view.name)
        self._feed.put(OBJECT.name, view.model_dump(exclude={"upload_url", "upload_headers"}))
