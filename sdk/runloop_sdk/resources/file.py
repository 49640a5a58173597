"""`devbox.file`: a devbox's files."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Literal, Unpack

from .._arguments import check_arguments
from .._downloads import Progress, reported, resumed, skip_bytes
from .._errors import CommandError
from .._hostile_tar import ExtractionLimits
from .._local_files import open_local, written
from .._upload import open_upload, with_progress
from ..archives import TarFilter
from ..own_commands import file_command, quoted_path
from ..params.devboxes import (
    DevboxDownloadFileParams,
    DevboxReadFileContentsParams,
    DevboxUploadFileParams,
    DevboxWriteFileContentsParams,
)

if TYPE_CHECKING:
    from .._extraction import Skipped
    from ..api._client import AsyncRunloopAPI
    from ..folders import RemoteFolder
    from ..models.executions import DevboxExecutionDetailView
    from .command import AsyncCommandInterface

FileKind = Literal["file", "directory", "symlink", "other"]
_KINDS: dict[str, FileKind] = {"f": "file", "d": "directory", "l": "symlink"}
_FORMAT = r"%y\0%s\0%T@\0%m\0%p\0%l\0"
_FIELDS = 6
# For a find that cannot print it, as that of BusyBox in Alpine's images.
_ONE_BY_ONE = r"""for f do
t=; if [ -L "$f" ] && { [ -z "$L" ] || [ ! -e "$f" ]; }; then k=l t=$(readlink -- "$f"; echo .) t=${t%??}
elif [ -d "$f" ]; then k=d; elif [ -f "$f" ]; then k=f; else k=o; fi
s=$(stat $L -c "%s %Y %a" -- "$f" 2>/dev/null || stat -c "%s %Y %a" -- "$f") || exit
printf "%s\0" "$k" $s "$f" "$t"
done"""
LISTING_LIMIT = 64_000_000
"""Most characters that are read of a listing: some hundred thousand names."""
_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file of a devbox: its path, kind, size in bytes, time of modification and permissions."""

    path: str
    kind: FileKind
    size: int
    modified: datetime
    mode: int
    target: str | None = None
    """The target of a symbolic link."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name


@check_arguments
class AsyncFileInterface:
    """Files of one devbox. Paths are relative to the user's home; `~/` and absolute ones work too."""

    def __init__(self, api: AsyncRunloopAPI, devbox_id: str, commands: AsyncCommandInterface) -> None:
        self._api = api
        self._devbox_id = devbox_id
        self._commands = commands

    async def read(self, **params: Unpack[DevboxReadFileContentsParams]) -> str:
        """The text of `file_path`, up to 100 MB (`POST /v1/devboxes/{id}/read_file_contents`)."""
        return await self._api.devboxes.read_file_contents(self._devbox_id, **params)

    async def write(self, **params: Unpack[DevboxWriteFileContentsParams]) -> DevboxExecutionDetailView:
        """Write `contents` to `file_path`, up to 100 MB (`POST /v1/devboxes/{id}/write_file_contents`)."""
        return await self._api.devboxes.write_file_contents(self._devbox_id, **params)

    async def upload(self, *, progress: Progress | None = None, **params: Unpack[DevboxUploadFileParams]) -> object:
        """Upload `file`, of any size, to `path`: bytes, a `Path`, an open file, or an async iterator of bytes.

        It is read while it is sent, in constant memory (`POST /v1/devboxes/{id}/upload_file`).
        """
        if progress is not None:
            params["file"] = with_progress(await open_upload(params["file"]), progress)
        return await self._api.devboxes.upload_file(self._devbox_id, **params)

    async def download(self, **params: Unpack[DevboxDownloadFileParams]) -> bytes:
        """The bytes of `path`, all in memory (`POST /v1/devboxes/{id}/download_file`)."""
        return await self._api.devboxes.download_file(self._devbox_id, **params)

    @asynccontextmanager
    async def stream(self, **params: Unpack[DevboxDownloadFileParams]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of `path` as they arrive, in constant memory, resumed where a connection was cut.

        The API has no ranges for files: after a cut, the bytes that were received before are read again and dropped.
        """

        @asynccontextmanager
        async def open_at(offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
            async with self._api.devboxes.download_file_stream(self._devbox_id, **params) as pieces:
                yield skip_bytes(pieces, offset)

        async with aclosing(resumed(open_at, self._api.config.max_retries, len)) as pieces:
            yield pieces

    async def download_to(
        self, local: Path, *, progress: Progress | None = None, **params: Unpack[DevboxDownloadFileParams]
    ) -> None:
        """Download `path` to a local file; raises `LocalFileError` if that cannot be written."""
        with await open_local(local, "wb") as file:
            await self._download_into(file, progress, params)

    async def upload_dir(
        self, local: Path, path: str, *, ignore: TarFilter | None = None, progress: Progress | None = None
    ) -> tuple[Skipped, ...]:
        """Upload the content of a local folder into the folder `path`, which is created; what was left out, and why.

        `ignore` may leave members out; `gitignored(local)` is one for what git ignores. Links stay links. Existing
        files are replaced one by one after everything has arrived; a folder never replaces anything else.
        """
        from ..folder_transfers import upload_folder

        return (await upload_folder(self._folder(path), local, ignore=ignore, progress=progress)).left_out

    async def download_dir(
        self, path: str, local: Path, *, progress: Progress | None = None, limits: ExtractionLimits | None = None
    ) -> tuple[Skipped, ...]:
        """Download the content of the folder `path` into a local one, which is created; what was left out, and why.

        Whatever the devbox sends, nothing is written outside of `local`: links that lead out of it, devices and
        set-id bits are dropped. Raises `ArchiveError` if the archive is malformed or exceeds `limits`.
        """
        from ..folder_transfers import download_folder

        return (await download_folder(self._folder(path), local, progress=progress, limits=limits)).left_out

    async def list(self, path: str = ".") -> list[FileInfo]:
        """The content of the folder `path`, sorted by name; raises `CommandError` if it is not a folder.

        Raises `OutputTooLargeError` if the listing has more than 64 million characters.
        """
        found = await self._find(path, "-mindepth 1 -maxdepth 1", f"test -d {quoted_path(path)}/ && ")
        return sorted(found, key=lambda info: info.path)

    async def stat(self, path: str, *, follow_symlinks: bool = False) -> FileInfo:
        """The file, folder or link at `path`, or what a link leads to; raises `CommandError` if nothing exists there.

        A link that leads nowhere is one also with `follow_symlinks`.
        """
        return (await self._find(path, "-maxdepth 0", "", "-L" if follow_symlinks else ""))[0]

    async def mkdir(self, path: str) -> None:
        """Create a folder and its parents; does nothing if it exists."""
        await self._run(f"mkdir -p -- {quoted_path(path)}", "mkdir")

    async def move(self, source: str, destination: str) -> None:
        """Move or rename a file or folder."""
        await self._run(f"mv -- {quoted_path(source)} {quoted_path(destination)}", "mv")

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file or an empty folder; with `recursive`, also a folder with its content."""
        target = quoted_path(path)
        one = f"if [ -d {target} ] && [ ! -L {target} ]; then rmdir -- {target}; else rm -- {target}; fi"
        await self._run(f"rm -r -- {target}" if recursive else one, "rm")

    def _folder(self, path: str) -> RemoteFolder:
        from ..folders import RemoteFolder

        return RemoteFolder(self, self._commands, path)

    async def _download_into(self, file: BinaryIO, progress: Progress | None, params: DevboxDownloadFileParams) -> None:
        async with self.stream(**params) as pieces:
            await reported(written(file, pieces), progress)

    async def _find(self, path: str, depth: str, guard: str, links: str = "") -> Sequence[FileInfo]:
        finding = f"find {links} {quoted_path(path)} {depth}"
        output = await self._run(
            f"{guard}if find / -maxdepth 0 -printf '' 2>/dev/null; then {finding} -printf {shlex.quote(_FORMAT)}; "
            f"else L={links} {finding} -exec sh -c {shlex.quote(_ONE_BY_ONE)} sh {{}} +; fi",
            "find",
        )
        fields = output.split("\0")[:-1]
        return [_file_info(*fields[i : i + _FIELDS]) for i in range(0, len(fields), _FIELDS)]

    async def _run(self, command: str, program: str) -> str:
        result = await self._commands.exec(file_command(command))
        if not result.success:
            reason = (result.result.stderr or "").strip()[-_LONGEST_REASON:] or f"it ended with {result.exit_code}"
            raise CommandError(f"{program} failed: {reason}", exit_code=result.exit_code)
        return await result.stdout(limit=LISTING_LIMIT)


def _file_info(kind: str, size: str, modified: str, mode: str, path: str, target: str) -> FileInfo:
    return FileInfo(
        path=path.removeprefix("./"),
        kind=_KINDS.get(kind, "other"),
        size=int(size),
        modified=datetime.fromtimestamp(float(modified), UTC),
        mode=int(mode, 8),
        target=target or None,
    )
