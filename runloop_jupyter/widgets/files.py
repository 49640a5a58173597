"""The files of a devbox: to browse, look at, upload, download, delete.

All views show the same folder. A page's file comes in pieces, is kept here until it is whole, and only then goes to the
devbox: a page that is closed in the middle leaves nothing there.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from runloop_sdk.own_commands import own_command

from ..errors import MagicError, UsageError
from ..operations.transfers import download, free_path, is_folder, spelled_notes
from ..text.progress import Progress
from .previews import Preview, preview
from .tool import DevboxTool, script, style
from .uploads import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runloop_sdk import CommandError, FileInfo

    from ..resources.devboxes import DevboxInfo
    from ..session import Session
    from .tool import Handler

_MOST = 20_000  # entries of a folder that are shown
_PATIENCE = 30.0  # seconds that a look at a file may take
_TICK = 0.25  # seconds between two looks at how far a transfer is
_LONGEST = 255  # bytes in a name


@dataclass(slots=True)
class _Transfer:
    """A file on its way. `folder` is where in the devbox it goes; `upload` is what the page has sent so far."""

    name: str
    progress: Progress
    folder: str = ""
    upload: Upload | None = None
    work: asyncio.Task[Any] | None = field(default=None, repr=False)

    def spec(self, key: str) -> dict[str, Any]:
        """The entry for the page."""
        received = self.upload.received if self.upload else 0
        amounts = {"done": self.progress.done, "total": self.progress.total, "received": received}
        return {"key": key, "name": self.name, "doing": self.progress.doing, **amounts}


class FileBrowser(DevboxTool):
    """The files of the devbox, as a folder at a time."""

    _esm = script("files")
    _css = style("files")

    def __init__(self, session: Session, devbox: DevboxInfo, **options: Any) -> None:
        super().__init__(session, devbox, "Files", **options)
        self.path = ""
        """The folder that is shown; empty before the first."""
        self._home = ""
        self._entries: list[list[Any]] = []
        self._more = 0
        self._preview: Preview | None = None
        self._asked = 0  # folders and files, of which the last that was asked for is shown
        self._transfers: dict[str, _Transfer] = {}

    async def greet(self, view: str, hello: dict[str, Any]) -> None:
        """Send the folder and what is open beside it; the first view opens the home folder."""
        self.post("snapshot", {**self._listing(), "transfers": self._transferring()}, view=view)
        self._post_preview(view)
        if not self.path:
            await self._show_folder("~")

    async def abandoned(self, *, closed: bool) -> None:
        """The files that pages were sending do not come any more."""
        self._drop_uploads()

    async def ended(self) -> None:
        """Forget what is on its way."""
        self._drop_uploads()

    # Looking

    async def _go(self, content: dict[str, Any], _: list[memoryview]) -> None:
        await self._show_folder(str(content["path"]))

    async def _open(self, content: dict[str, Any], _: list[memoryview]) -> None:
        name = str(content["name"])
        kind = next((entry[1] for entry in self._entries if entry[0] == name), "file")
        path = self._at(name)
        if kind == "directory" or (kind == "symlink" and await is_folder(await self.handle(), path)):
            await self._show_folder(path)
        else:
            await self._show_file(path, name)

    async def _shut(self, _: dict[str, Any], __: list[memoryview]) -> None:
        self._asked += 1
        self._preview = None
        self._post_preview()

    async def _show_folder(self, asked: str) -> None:
        async with self._busy() as mine:
            path = await self._absolute(asked)
            found = await self._list(path)
            if mine != self._asked:
                return
            if path != self.path and self._preview is not None:
                self._preview = None
                self._post_preview()
            self.path = path
            self._entries = [_entry(info) for info in found[:_MOST]]
            self._more = len(found) - len(self._entries)
            self.post("listing", self._listing())

    async def _show_file(self, path: str, name: str) -> None:
        async with self._busy() as mine:
            try:
                async with asyncio.timeout(_PATIENCE):
                    shown = await preview(await self.handle(), await self._real(path), name)
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
        self.post("busy", {"on": True})
        try:
            yield self._asked
        finally:
            self.post("busy", {"on": False})

    async def _list(self, path: str) -> list[FileInfo]:
        from runloop_sdk import CommandError

        try:
            return await (await self.handle()).file.list(f"{path.rstrip('/')}/")
        except CommandError as error:
            if "Permission denied" in str(error):
                raise MagicError(f"The folder {path!r} may not be read by the devbox's user.") from error
            raise MagicError(f"There is no folder {path!r} on {self.devbox.short}, or it may not be seen.") from error

    async def _real(self, path: str) -> str:
        """The path with links followed."""
        result = await (await self.handle()).cmd.exec(own_command(f"readlink -e -z -- {shlex.quote(path)}"))
        if not result.success:
            raise MagicError(f"There is no file {path!r} on {self.devbox.short}, or it is a link that leads nowhere.")
        return (await result.stdout()).rstrip("\0")

    async def _absolute(self, path: str) -> str:
        """A path that somebody typed: from the folder that is shown, or from `~`."""
        if path == "~" or path.startswith("~/"):
            path = f"{await self._home_folder()}{path[1:]}"
        return posixpath.normpath(posixpath.join("/", self.path, path)).replace("//", "/")

    async def _home_folder(self) -> str:
        if not self._home:
            result = await (await self.handle()).cmd.exec(own_command('printf %s "$HOME"'))
            self._home = await result.stdout() or "/"
        return self._home

    def _at(self, name: str) -> str:
        return posixpath.join(self.path, name)

    def _listing(self) -> dict[str, Any]:
        return {"path": self.path, "entries": self._entries, "more": self._more}

    def _post_preview(self, view: str | None = None) -> None:
        shown = self._preview
        self.post("preview", shown.spec() if shown else {"kind": ""}, [shown.image] if shown else [], view=view)

    # Changing

    async def _make(self, content: dict[str, Any], _: list[memoryview]) -> None:
        name = _checked_name(str(content["name"]))
        path = self._at(name)
        if await self._kind(path):
            raise UsageError(f"There is already {name!r} in {self.path}.")
        async with self._changing(f"The folder {name!r} was not made"):
            await (await self.handle()).file.mkdir(path)
        self.post("made", {"name": name})
        await self._show_folder(".")

    async def _remove(self, content: dict[str, Any], _: list[memoryview]) -> None:
        name = _checked_name(str(content["name"]))
        async with self._changing(f"{name!r} was not deleted, or not all of it"):
            await (await self.handle()).file.remove(self._at(name), recursive=True)
        await self._show_folder(".")
        self._tell(f"Deleted {name}.")

    async def _kind(self, path: str) -> str:
        """Return the kind of what is there; empty for nothing."""
        from runloop_sdk import CommandError

        try:
            return (await (await self.handle()).file.stat(path)).kind
        except CommandError:
            return ""

    @contextlib.asynccontextmanager
    async def _changing(self, failed: str) -> AsyncIterator[None]:
        from runloop_sdk import CommandError

        self.say("")
        try:
            yield
        except CommandError as error:
            await self._show_folder(".")
            raise MagicError(f"{failed}: {_reason(error)}.") from error

    def _tell(self, text: str) -> None:
        self.post("told", {"text": text})

    # Files on their way

    async def _download(self, content: dict[str, Any], _: list[memoryview]) -> None:
        name = str(content["name"])
        path = await self._real(self._at(name))
        transfer = _Transfer(name, Progress("Downloading"))
        async with self._transfer(str(content["key"]), transfer):
            target = await asyncio.to_thread(free_path, name)
            done = await download(await self.handle(), path, self.devbox.label, target, transfer.progress)
            self._tell(f"Saved {target.name} beside the notebook.{spelled_notes(done)}")

    async def _upload(self, content: dict[str, Any], _: list[memoryview]) -> None:
        key, name = str(content["key"]), _checked_name(str(content["name"]))
        kind = await self._kind(self._at(name))
        if kind == "directory":
            raise UsageError(f"{name!r} was not uploaded: a folder has this name.")
        if kind and not content.get("replace"):
            self.post("exists", {"key": key, "name": name}, view=content["view"])
            return
        self.say("")
        progress = Progress("Uploading")
        progress.total = int(content["size"])
        self._transfers[key] = _Transfer(name, progress, self.path, Upload(name))
        self._post_transfers()
        self.post("begin", {"key": key}, view=content["view"])

    async def _upload_part(self, content: dict[str, Any], buffers: list[memoryview]) -> None:
        transfer = self._transfers.get(str(content["key"]))
        if transfer is not None and transfer.upload is not None:
            for piece in buffers:
                await transfer.upload.put(bytes(piece))
            self._post_transfers()

    async def _upload_end(self, content: dict[str, Any], _: list[memoryview]) -> None:
        key = str(content["key"])
        transfer = self._transfers.get(key)
        if transfer is None or transfer.upload is None:
            return
        path = posixpath.join(transfer.folder, transfer.name)
        async with self._transfer(key, transfer):
            file = await transfer.upload.content()
            if transfer.upload.received != transfer.progress.total:
                raise MagicError(f"{transfer.name!r} was not uploaded: it changed on its way.")
            report = _into(transfer.progress)
            await (await self.handle()).file.upload(path=path, file=file, progress=report)
        if self.path == transfer.folder:
            await self._show_folder(".")
        self._tell(f"Uploaded {transfer.name}.")

    async def _cancel(self, content: dict[str, Any], _: list[memoryview]) -> None:
        key = str(content["key"])
        transfer = self._transfers.get(key)
        if transfer is not None and transfer.work is not None:
            transfer.work.cancel()
        self._forget(key)

    @contextlib.asynccontextmanager
    async def _transfer(self, key: str, transfer: _Transfer) -> AsyncIterator[None]:
        """Show it as long as it takes; the page may cancel it."""
        self.say("")
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
            self._post_transfers()
            await asyncio.sleep(_TICK)

    def _forget(self, key: str) -> None:
        transfer = self._transfers.pop(key, None)
        if transfer is not None and transfer.upload is not None:
            transfer.upload.close()
        self._post_transfers()

    def _drop_uploads(self) -> None:
        for key, transfer in list(self._transfers.items()):
            if transfer.upload is not None and transfer.work is None:
                self._forget(key)

    def _transferring(self) -> list[dict[str, Any]]:
        return [transfer.spec(key) for key, transfer in self._transfers.items()]

    def _post_transfers(self) -> None:
        self.post("transfers", {"transfers": self._transferring()})

    handlers: ClassVar[dict[str, Handler]] = {
        "go": _go,
        "open": _open,
        "shut": _shut,
        "make": _make,
        "remove": _remove,
        "download": _download,
        "upload": _upload,
        "upload_part": _upload_part,
        "upload_end": _upload_end,
        "cancel": _cancel,
    }


def _entry(info: FileInfo) -> list[Any]:
    """Name, kind, size in bytes, time of the last change in milliseconds, and where a link points."""
    return [info.name, info.kind, info.size, round(info.modified.timestamp() * 1000), info.target or ""]


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise UsageError(f"{name!r} cannot be a name: it is empty, a dot or two, or has a slash.")
    if len(name.encode()) > _LONGEST:
        raise UsageError(f"This name is too long: {len(name.encode())} bytes of at most {_LONGEST}.")
    return name


def _reason(error: CommandError) -> str:
    """The end of what the command said, such as "Permission denied"."""
    return str(error).rpartition(": ")[2].rstrip(".")


def _into(progress: Progress) -> Any:
    def moved(done: int) -> None:
        progress.done = done

    return moved
