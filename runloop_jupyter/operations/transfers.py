"""Files between this machine, devboxes and the object store, for the magics and the panel alike."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from ..errors import UsageError, did_you_mean
from ..text.json_values import RequestParams
from ..text.progress import Progress
from ..text.quoting import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runloop_sdk import AsyncDevbox, AsyncRunloopSDK, FileInfo, Skipped
    from runloop_sdk.models.objects import ObjectView
    from runloop_sdk.params.objects import ObjectContentType

_SMALL = 8 << 20  # bytes of an archive that stay in memory
_NAMED = 5  # how many files a sentence names


def here(name: str) -> Path:
    """The local file or folder of this name. Raises `UsageError` that suggests the nearest one."""
    path = _expanded(name)
    if path.exists():
        return path
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, siblings)
    raise UsageError(f"There is no file or folder {name!r} {_here()}.{near}")


def place(name: str) -> Path:
    """A local path to write to. Raises `UsageError` where there is no folder for it."""
    path = _expanded(name)
    if not path.is_dir() and not path.parent.is_dir():
        raise UsageError(f"There is no folder {str(path.parent)!r} {_here()}.")
    return path


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # no account is called so, or this one has no home: a file may be
        return Path(name)


def _here() -> str:
    try:
        return f"here, in {Path.cwd()}"
    except FileNotFoundError:
        return "here: the folder that the notebook works in was removed"


def own_name(path: str) -> str:
    """The name that a path elsewhere ends in, as one to have here; nothing where it ends in none, as `~` or `..`.

    Raises `UsageError` for one that this system cannot have.
    """
    name = PurePosixPath(path).name
    if sys.platform == "win32":
        from runloop_sdk.windows_names import windows_problem

        if problem := windows_problem(name):
            raise UsageError(f"{name!r} cannot be a file's name here: {problem}. Say by which name it is to be kept.")
    return "" if name in ("..", "~") else name


def local_name(path: Path) -> str:
    """The name of a file or folder here as it was given: of a link its own."""
    return os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119 - `Path` keeps "..", or follows links


_NOT_THERE = ("No such file or directory", "Not a directory")


async def there(devbox: AsyncDevbox, path: str, label: str, *, follow: bool = True) -> FileInfo:
    """The file or folder of a devbox, by default with links followed. Raises `UsageError` if there is none."""
    from runloop_sdk import CommandError

    try:
        found = await devbox.file.stat(path)
        if found.kind != "symlink" or not follow:
            return found
        found = await devbox.file.stat(path, follow_symlinks=True)
        if found.kind != "symlink":
            return found
        raise UsageError(f"{path!r} on {label} is a link to {found.target!r}, which does not exist.")
    except CommandError as error:
        reason = str(error).rpartition(": ")[2]
        if reason in _NOT_THERE:
            raise UsageError(f"There is no file or folder {path!r} on {label}.") from error
        raise UsageError(f"{path!r} on {label} cannot be used: {reason[:1].lower()}{reason[1:]}.") from error


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An upload: where it went, what of a folder was left out and why, and the files that changed meanwhile."""

    path: str
    left_out: tuple[Skipped, ...] = ()
    changed: tuple[str, ...] = ()


async def upload(devbox: AsyncDevbox, local: Path, remote: str | None, progress: Progress) -> Uploaded:
    """Upload a file or a folder's content. By default it keeps its name, in the home folder.

    A file goes into `remote` where that is a folder, or ends in a slash.
    """
    from runloop_sdk.folder_transfers import upload_folder
    from runloop_sdk.folders import RemoteFolder

    if await asyncio.to_thread(local.is_dir):
        target = remote or local_name(local)
        done = await upload_folder(RemoteFolder(devbox.file, devbox.cmd, target), local, progress=_into(progress))
        return Uploaded(target, done.left_out, done.changed)
    before = await asyncio.to_thread(local.stat)
    progress.total = before.st_size
    target = await _file_target(devbox, remote, local.name)
    await devbox.file.upload(path=target, file=local, progress=_into(progress))
    after = await asyncio.to_thread(local.stat)
    is_changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    return Uploaded(target, changed=(local.name,) if is_changed else ())


async def _file_target(devbox: AsyncDevbox, remote: str | None, name: str) -> str:
    if remote is None:
        return name
    if remote.endswith("/"):
        return remote + name
    return f"{remote}/{name}" if await is_folder(devbox, remote) else remote


async def is_folder(devbox: AsyncDevbox, path: str) -> bool:
    """Return True if a devbox has a folder there, or a link to one."""
    from runloop_sdk import CommandError

    try:
        return (await devbox.file.stat(path.rstrip("/") + "/.")).kind == "directory"
    except CommandError:
        return False


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A download: where it went, what of a folder was left out and why, and the files that changed meanwhile."""

    path: Path
    left_out: tuple[Skipped, ...] = ()
    changed: tuple[str, ...] = ()


async def download(devbox: AsyncDevbox, remote: str, label: str, local: Path | None, progress: Progress) -> Downloaded:
    """Download a file or a folder's content. By default it keeps its name, in the folder here.

    Stopped in the middle it leaves no half file, and what was there before as it was.
    """
    from runloop_sdk.folder_transfers import download_folder
    from runloop_sdk.folders import RemoteFolder

    found = await there(devbox, remote, label)
    target = local or Path(own_name(remote) or "download")
    if found.kind == "directory":
        folder = RemoteFolder(devbox.file, devbox.cmd, remote)
        done = await download_folder(folder, target, progress=_into(progress))
        return Downloaded(target, done.left_out, done.changed)
    if found.kind == "other":
        raise UsageError(f"{remote!r} on {label} is a device, a pipe or a socket, which has no content to download.")
    if await asyncio.to_thread(target.is_dir):
        target = target / own_name(remote)
    progress.total = found.size
    async with _replacing(target) as part:
        await devbox.file.download_to(part, path=remote, progress=_into(progress))
    return Downloaded(target)


class _Transferred(Protocol):
    @property
    def left_out(self) -> tuple[Skipped, ...]: ...
    @property
    def changed(self) -> tuple[str, ...]: ...


def spelled_notes(done: _Transferred) -> str:
    """Say what was left out and what changed meanwhile, in sentences to follow another; nothing where all is well."""
    left_out = [f"{printable(each.name)!r} ({printable(each.reason)})" for each in done.left_out]
    return _listed("Left out", left_out) + listed_paths("Changed while it was read", done.changed)


def listed_paths(title: str, paths: Sequence[str]) -> str:
    """The first few paths after a title, as a sentence to follow another; nothing where there is none."""
    return _listed(title, [repr(printable(path)) for path in paths])


def _listed(title: str, texts: Sequence[str]) -> str:
    if not texts:
        return ""
    more = f"; and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
    return f" {title}: {'; '.join(texts[:_NAMED])}{more}."


async def upload_object(
    sdk: AsyncRunloopSDK,
    local: Path | BinaryIO,
    name: str,
    *,
    content_type: ObjectContentType | None = None,
    metadata: Mapping[str, str] | None = None,
    ttl: timedelta | None = None,
    progress: Progress,
) -> ObjectView:
    """Upload a file, or a folder as `tgz` without what its `.gitignore` names. Cancelled, it is deleted again."""
    from runloop_sdk import content_type_of

    ttl_ms = None if ttl is None else int(ttl.total_seconds() * 1000)
    request = {"name": name, "metadata": metadata or None, "ttl_ms": ttl_ms}
    if isinstance(local, Path) and await asyncio.to_thread(local.is_dir):
        async with _packed(local) as archive:
            return await _upload_bytes(sdk, archive, {**request, "content_type": "tgz"}, progress)
    guessed = content_type_of(local.name if isinstance(local, Path) else name)
    return await _upload_bytes(sdk, local, {**request, "content_type": content_type or guessed}, progress)


async def _upload_bytes(
    sdk: AsyncRunloopSDK, content: Path | BinaryIO, request: RequestParams, progress: Progress
) -> ObjectView:
    from runloop_sdk import complete_or_undo

    progress.total = await asyncio.to_thread(_size, content)
    made = await complete_or_undo(sdk.storage_object.create(**request), lambda obj: obj.delete())
    return await made.upload_and_complete(content, progress=_into(progress))


async def download_object(sdk: AsyncRunloopSDK, view: ObjectView, local: Path, progress: Progress) -> Path:
    """Write an object's bytes into a file, or into a folder under its own name."""
    target = local / (own_name(view.name) or "download") if await asyncio.to_thread(local.is_dir) else local
    progress.total = view.size_bytes
    async with _replacing(target) as part:
        await sdk.storage_object.from_id(view.id).download_to(part, progress=_into(progress))
    return target


def free_path(name: str) -> Path:
    """Return a path in the notebook's folder that no file has: `name`, else `name (1)` and so on."""
    wanted = Path(name)
    numbered = (Path(f"{wanted.stem} ({number}){wanted.suffix}") for number in range(1, 1000))
    return next(path for path in (wanted, *numbered) if not path.exists())


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


def _into(progress: Progress) -> Callable[[int], None]:
    def moved(done: int) -> None:
        progress.done = done

    return moved
