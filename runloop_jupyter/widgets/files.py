"""The files of a devbox: to browse, look at, upload, download, delete. All views show the same folder."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from typing import TYPE_CHECKING, Any

from ..errors import MagicError
from . import assets
from .devbox_files import DevboxFiles, checked_name
from .previews import preview
from .protocol import files as messages
from .tool import DevboxTool
from .transfers import FileTransfers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runloop_sdk import FileInfo

    from ..resources.devboxes import DevboxInfo
    from ..session import Session

_MOST = 20_000  # entries of a folder that are shown
_PATIENCE = 30.0  # seconds that a look at a file may take


class FileBrowser(DevboxTool):
    """The files of the devbox, as a folder at a time."""

    _esm = assets.script("files")
    _sheet = assets.style("files")
    protocol = messages.PROTOCOL

    def __init__(self, session: Session, devbox: DevboxInfo, **options: Any) -> None:
        super().__init__(session, devbox, "Files", **options)
        self.path = ""
        """The folder that is shown; empty before the first."""
        self._entries: list[messages.Entry] = []
        self._more = 0
        self._preview: messages.Preview | None = None
        self._asked = 0  # folders and files, of which the last that was asked for is shown
        self._files = DevboxFiles(self.handle, devbox.short)
        self._transfers = FileTransfers(
            self.channel,
            devbox,
            self.handle,
            self._files,
            folder=lambda: self.path,
            say=self.say,
            arrived=self._refresh,
        )
        self.channel.on(messages.OpenFolder, self._open_folder)
        self.channel.on(messages.OpenEntry, self._open_entry)
        self.channel.on(messages.ClosePreview, self._close_preview)
        self.channel.on(messages.MakeFolder, self._make_folder)
        self.channel.on(messages.Remove, self._remove)

    def post_snapshot(self, view: str) -> None:
        """Send the folder, what is open beside it, and what is on its way."""
        self._post_listing(view)
        self._transfers.post(view)
        self._post_preview(view)

    async def opened(self, hello: messages.Hello) -> None:
        """Open the home folder in the first view."""
        if not self.path:
            await self._show_folder("~")

    async def abandoned(self) -> None:
        """The files that pages were sending do not come any more."""
        self._transfers.drop_uploads()

    async def ended(self) -> None:
        """Forget what is on its way."""
        self._transfers.drop_uploads()

    # What the page asks for

    async def _open_folder(self, view: str, wanted: messages.OpenFolder) -> None:
        await self._show_folder(wanted.path)

    async def _open_entry(self, view: str, wanted: messages.OpenEntry) -> None:
        kind = next((entry.kind for entry in self._entries if entry.name == wanted.name), "file")
        path = posixpath.join(self.path, wanted.name)
        if kind == "directory" or (kind == "symlink" and await self._files.is_folder(path)):
            await self._show_folder(path)
        else:
            await self._show_file(path, wanted.name)

    def _close_preview(self, view: str, _: messages.ClosePreview) -> None:
        self._asked += 1
        self._preview = None
        self._post_preview()

    async def _make_folder(self, view: str, wanted: messages.MakeFolder) -> None:
        name = checked_name(wanted.name)
        async with self._changing():
            await self._files.make_folder(posixpath.join(self.path, name))
        self.channel.post(messages.FolderMade(name))
        await self._show_folder(".")

    async def _remove(self, view: str, wanted: messages.Remove) -> None:
        name = checked_name(wanted.name)
        async with self._changing():
            await self._files.remove(posixpath.join(self.path, name))
        await self._show_folder(".")
        self.channel.post(messages.Told(f"Deleted {name}."))

    @contextlib.asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        """Show the folder as it is after a change that failed: it may have failed in the middle."""
        self.say("")
        try:
            yield
        except MagicError:
            await self._show_folder(".")
            raise

    # What is shown

    async def _refresh(self, folder: str) -> None:
        if self.path == folder:
            await self._show_folder(".")

    async def _show_folder(self, asked: str) -> None:
        async with self._busy() as mine:
            path = await self._files.absolute(asked, self.path)
            found = await self._files.list(path)
            if mine != self._asked:
                return
            if path != self.path and self._preview is not None:
                self._preview = None
                self._post_preview()
            self.path = path
            self._entries = [_entry(info) for info in found[:_MOST]]
            self._more = len(found) - len(self._entries)
            self._post_listing()

    async def _show_file(self, path: str, name: str) -> None:
        async with self._busy() as mine:
            try:
                async with asyncio.timeout(_PATIENCE):
                    shown = await preview(await self.handle(), await self._files.real(path), name)
            except TimeoutError:
                raise MagicError(f"{name!r} could not be read within {_PATIENCE:.0f} s.") from None
            if mine == self._asked:
                self._preview = shown
                self._post_preview()

    @contextlib.asynccontextmanager
    async def _busy(self) -> AsyncIterator[int]:
        """Tell the page that something is asked for; the number tells whether it is still wanted in the end."""
        self._asked += 1
        self.say("")
        self.channel.post(messages.Busy(on=True))
        try:
            yield self._asked
        finally:
            self.channel.post(messages.Busy(on=False))

    def _post_listing(self, view: str | None = None) -> None:
        self.channel.post(messages.Listing(self.path, self._entries, self._more), view=view)

    def _post_preview(self, view: str | None = None) -> None:
        self.channel.post(self._preview or messages.PreviewClosed(), view=view)


def _entry(info: FileInfo) -> messages.Entry:
    changed = round(info.modified.timestamp() * 1000)
    return messages.Entry(info.name, info.kind, info.size, changed, info.target or "")
