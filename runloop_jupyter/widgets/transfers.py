"""The files on their way between a page, this kernel and a devbox.

A page's file comes in pieces, is kept here until it is whole, and only then goes to the devbox: a page that is closed
in the middle leaves nothing there.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import MagicError, UsageError
from ..operations.transfers import download, free_path, spelled_notes
from ..text.progress import Progress
from .devbox_files import checked_name
from .protocol import files as messages
from .uploads import Upload

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox

    from ..resources.devboxes import DevboxInfo
    from .channel import Channel
    from .devbox_files import DevboxFiles

_TICK = 0.25  # seconds between two looks at how far a transfer is


@dataclass(slots=True)
class _Transfer:
    """A file on its way. `folder` is where in the devbox it goes; `upload` is what the page has sent so far."""

    name: str
    progress: Progress
    folder: str = ""
    upload: Upload | None = None
    work: asyncio.Task[Any] | None = field(default=None, repr=False)

    def spec(self, key: str) -> messages.Transfer:
        """Return what the page gets of it, which calls it `key`."""
        return {
            "key": key,
            "name": self.name,
            "doing": self.progress.doing,
            "done": self.progress.done,
            "total": self.progress.total or 0,
            "received": self.upload.received if self.upload else 0,
        }


class FileTransfers:
    """The transfers of one file browser.

    `folder` returns the one that is shown, `say` shows a problem, and `arrived` takes a folder that has a new file.
    """

    def __init__(
        self,
        channel: Channel,
        devbox: DevboxInfo,
        handle: Callable[[], Awaitable[AsyncDevbox]],
        files: DevboxFiles,
        *,
        folder: Callable[[], str],
        say: Callable[[str], None],
        arrived: Callable[[str], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._devbox = devbox
        self._handle = handle
        self._files = files
        self._folder = folder
        self._say = say
        self._arrived = arrived
        self._transfers: dict[str, _Transfer] = {}
        channel.on(messages.Download, self._download)
        channel.on(messages.Upload, self._begin_upload)
        channel.on(messages.UploadPart, self._take_part)
        channel.on(messages.UploadEnd, self._end_upload)
        channel.on(messages.Cancel, self._cancel)

    def __len__(self) -> int:
        return len(self._transfers)

    def post(self, view: str | None = None) -> None:
        """Send how far all of them are."""
        specs = [transfer.spec(key) for key, transfer in self._transfers.items()]
        self._channel.post(messages.Transfers(specs), view=view)

    def drop_uploads(self) -> None:
        """Forget the files that do not come any more, as no page is left that could send them."""
        for key, transfer in list(self._transfers.items()):
            if transfer.upload is not None and transfer.work is None:
                self._forget(key)

    async def _download(self, view: str, wanted: messages.Download) -> None:
        path = await self._files.real(posixpath.join(self._folder(), wanted.name))
        transfer = _Transfer(wanted.name, Progress("Downloading"))
        async with self._running(wanted.key, transfer):
            target = await asyncio.to_thread(free_path, wanted.name)
            done = await download(await self._handle(), path, self._devbox.label, target, transfer.progress)
            self._tell(f"Saved {target.name} beside the notebook.{spelled_notes(done)}")

    async def _begin_upload(self, view: str, wanted: messages.Upload) -> None:
        key, name, folder = wanted.key, checked_name(wanted.name), self._folder()
        kind = await self._files.kind(posixpath.join(folder, name))
        if kind == "directory":
            raise UsageError(f"{name!r} was not uploaded: a folder has this name.")
        if kind and not wanted.replace:
            self._channel.post(messages.UploadExists(key, name), view=view)
            return
        self._say("")
        progress = Progress("Uploading")
        progress.total = wanted.size
        self._transfers[key] = _Transfer(name, progress, folder, Upload(name))
        self.post()
        self._channel.post(messages.UploadWanted(key), view=view)

    async def _take_part(self, view: str, part: messages.UploadPart) -> None:
        transfer = self._transfers.get(part.key)
        if transfer is not None and transfer.upload is not None:
            await transfer.upload.put(part.data)
            self.post()

    async def _end_upload(self, view: str, end: messages.UploadEnd) -> None:
        transfer = self._transfers.get(end.key)
        if transfer is None or transfer.upload is None:
            return
        path = posixpath.join(transfer.folder, transfer.name)
        async with self._running(end.key, transfer):
            file = await transfer.upload.content()
            if transfer.upload.received != transfer.progress.total:
                raise MagicError(f"{transfer.name!r} was not uploaded: it changed on its way.")
            report = _into(transfer.progress)
            await (await self._handle()).file.upload(path=path, file=file, progress=report)
        await self._arrived(transfer.folder)
        self._tell(f"Uploaded {transfer.name}.")

    def _cancel(self, view: str, cancelled: messages.Cancel) -> None:
        transfer = self._transfers.get(cancelled.key)
        if transfer is not None and transfer.work is not None:
            transfer.work.cancel()
        self._forget(cancelled.key)

    @contextlib.asynccontextmanager
    async def _running(self, key: str, transfer: _Transfer) -> AsyncIterator[None]:
        """Show it as long as it takes; the page may cancel it."""
        self._say("")
        self._transfers[key] = transfer
        transfer.work = asyncio.current_task()
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            self._forget(key)

    async def _tick(self) -> None:
        while True:
            self.post()
            await asyncio.sleep(_TICK)

    def _forget(self, key: str) -> None:
        transfer = self._transfers.pop(key, None)
        if transfer is not None and transfer.upload is not None:
            transfer.upload.close()
        self.post()

    def _tell(self, text: str) -> None:
        self._channel.post(messages.Told(text))


def _into(progress: Progress) -> Callable[[int], None]:
    def moved(done: int) -> None:
        progress.done = done

    return moved
