"""Files between this machine, devboxes and the object store, for the magics and the panel alike."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .errors import UsageError, did_you_mean
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK, FileInfo
    from runloop_sdk.models.objects import ObjectView
    from runloop_sdk.params.objects import ObjectContentType

_SMALL = 8 << 20  # bytes of an archive that stay in memory


def here(name: str) -> Path:
    """The local file or folder of this name. Raises `UsageError` that suggests the nearest one."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, siblings)
    raise UsageError(f"There is no file or folder {name!r} here, in {Path.cwd()}.{near}")


def place(name: str) -> Path:
    """A local path to write to. Raises `UsageError` where there is no folder for it."""
    path = Path(name).expanduser()
    if not path.is_dir() and not path.parent.is_dir():
        raise UsageError(f"There is no folder {str(path.parent)!r} here, in {Path.cwd()}.")
    return path


async def there(devbox: AsyncDevbox, path: str, label: str) -> FileInfo:
    """The file or folder of a devbox at `path`, links followed. Raises `UsageError` if there is none."""
    from runloop_sdk import CommandError

    try:
        found = await devbox.file.stat(path)
        return await devbox.file.stat(path.rstrip("/") + "/.") if found.kind == "symlink" else found
    except CommandError as error:
        raise UsageError(f"There is no file or folder {path!r} on {label}.") from error


async def upload(devbox: AsyncDevbox, local: Path, remote: str | None, progress: Progress) -> str:
    """Upload a file or a folder's content; where it went. By default it keeps its name, in the home folder.

    A file goes into `remote` where that is a folder, or ends in a slash.
    """
    if await asyncio.to_thread(local.is_dir):
        target = remote or (await asyncio.to_thread(local.absolute)).name
        await devbox.file.upload_dir(local, target)
        return target
    progress.total = (await asyncio.to_thread(local.stat)).st_size
    target = await _file_target(devbox, remote, local.name)
    await devbox.file.upload(path=target, file=local, progress=_into(progress))
    return target


async def _file_target(devbox: AsyncDevbox, remote: str | None, name: str) -> str:
    if remote is None:
        return name
    if remote.endswith("/"):
        return remote + name
    return f"{remote}/{name}" if await is_folder(devbox, remote) else remote


async def is_folder(devbox: AsyncDevbox, path: str) -> bool:
    """Whether a devbox has a folder there, or a link to one."""
    from runloop_sdk import CommandError

    try:
        return (await devbox.file.stat(path.rstrip("/") + "/.")).kind == "directory"
    except CommandError:
        return False


async def download(devbox: AsyncDevbox, remote: str, label: str, local: Path | None, progress: Progress) -> Path:
    """Download a file or a folder's content; where it went. By default it keeps its name, in the folder here.

    Stopped in the middle it leaves nothing, and what was there before as it was.
    """
    found = await there(devbox, remote, label)
    target = local or Path(PurePosixPath(remote).name or "download")
    if found.kind == "directory":
        await devbox.file.download_dir(remote, target, progress=_into(progress))
        return target
    if await asyncio.to_thread(target.is_dir):
        target = target / PurePosixPath(remote).name
    progress.total = found.size
    async with _replacing(target) as part:
        await devbox.file.download_to(part, path=remote, progress=_into(progress))
    return target


async def upload_object(
    sdk: AsyncRunloopSDK,
    local: Path,
    name: str,
    *,
    content_type: ObjectContentType | None = None,
    metadata: Mapping[str, str] | None = None,
    ttl: timedelta | None = None,
    progress: Progress,
) -> ObjectView:
    """A storage object of a file, or of a folder as `tgz` without what its `.gitignore` names. Stop undoes it."""
    from runloop_sdk import content_type_of

    request: dict[str, Any] = {"name": name, "metadata": metadata or None}
    if ttl is not None:
        request["ttl_ms"] = int(ttl.total_seconds() * 1000)
    if not await asyncio.to_thread(local.is_dir):
        kind = content_type or content_type_of(local.name)
        return await _upload_bytes(sdk, local, {**request, "content_type": kind}, progress)
    async with _packed(local) as archive:
        return await _upload_bytes(sdk, archive, {**request, "content_type": "tgz"}, progress)


async def _upload_bytes(
    sdk: AsyncRunloopSDK, content: Path | BinaryIO, request: dict[str, Any], progress: Progress
) -> ObjectView:
    from runloop_sdk import RunloopError, complete_or_undo, run_undo

    progress.total = await asyncio.to_thread(_size, content)
    made = await complete_or_undo(sdk.storage_object.create(**request), lambda obj: obj.delete())
    try:
        await made.upload_content(content, progress=_into(progress))
        return await made.complete()
    except (RunloopError, OSError, asyncio.CancelledError) as error:
        await run_undo(made.delete(), error)
        raise


async def download_object(sdk: AsyncRunloopSDK, view: ObjectView, local: Path, progress: Progress) -> Path:
    """Write an object's bytes into a file, or into a folder under its own name."""
    target = local / PurePosixPath(view.name).name if await asyncio.to_thread(local.is_dir) else local
    progress.total = view.size_bytes
    async with _replacing(target) as part:
        await sdk.storage_object.from_id(view.id).download_to(part, progress=_into(progress))
    return target


@asynccontextmanager
async def _packed(folder: Path) -> AsyncIterator[BinaryIO]:
    from runloop_sdk.archives import gitignored, pack

    with tempfile.SpooledTemporaryFile(max_size=_SMALL) as packed:
        archive = cast("BinaryIO", packed)
        await asyncio.to_thread(pack, folder, archive, await asyncio.to_thread(gitignored, folder))
        yield archive


@asynccontextmanager
async def _replacing(target: Path) -> AsyncIterator[Path]:
    """A path to write to, which takes the place of `target` in the end, and is gone if it does not come to that."""
    part = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
    try:
        yield part
        await asyncio.to_thread(part.replace, target)
    finally:
        part.unlink(missing_ok=True)


def _size(content: Path | BinaryIO) -> int:
    if isinstance(content, Path):
        return content.stat().st_size
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    return size


def _into(progress: Progress) -> Any:
    def moved(done: int) -> None:
        progress.done = done

    return moved
