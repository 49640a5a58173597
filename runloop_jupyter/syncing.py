"""Folders kept alike here and in a devbox: only files that differ in size or time travel.

Deciding is apart from doing: `changed` compares two manifests, `Ignored` knows `.gitignore` files; both do no I/O.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from .errors import RemoteError, UsageError
from .progress import Progress

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox

_SMALL = 8 << 20  # bytes of an archive that stay in memory
_FIND = r"%y\0%s\0%T@\0%m\0%l\0%P\0"
_FIELDS = 6
_NEVER = (".git",)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it is compared: its size in bytes and when it was changed, in whole seconds. Or where a link points."""

    size: int
    modified: int
    executable: bool = False
    link: str | None = None


Manifest = Mapping[str, Entry]
"""Paths relative to a folder, with what is there. Folders themselves are not told."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to travel, and what is there too much."""

    send: tuple[str, ...]
    extra: tuple[str, ...]
    size: int
    """Bytes of what has to travel."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a push or pull did."""

    sent: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    size: int


def changed(source: Manifest, target: Manifest) -> Changes:
    """What `target` lacks of `source` or has in another state, and what it has beyond."""
    send = tuple(path for path, entry in source.items() if target.get(path) != entry)
    extra = tuple(path for path in target if path not in source)
    return Changes(send, extra, sum(source[path].size for path in send))


class Ignored:
    """Which paths of a folder its `.gitignore` files name; `.git` always. Add the files from the top down."""

    def __init__(self, *, everything_counts: bool = False) -> None:
        from pathspec import GitIgnoreSpec

        self._make = GitIgnoreSpec.from_lines
        self._specs: dict[str, GitIgnoreSpec] = {}
        self._off = everything_counts

    def add(self, folder: str, text: str) -> None:
        """The text of the `.gitignore` in `folder`, which is "" for the top."""
        self._specs[folder] = self._make(text.splitlines())

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Whether `path` is to be left out; what is below such a folder is not asked about."""
        if self._off:
            return False
        if PurePosixPath(path).name in _NEVER:
            return True
        slash = "/" if is_folder else ""
        for folder in ["", *map(str, reversed(PurePosixPath(path).parents[:-1]))]:
            spec = self._specs.get(folder)
            if spec is not None and spec.match_file(path[len(folder) + 1 if folder else 0 :] + slash):
                return True
        return False


def local_manifest(folder: Path, ignored: Ignored) -> dict[str, Entry]:
    """What a folder here has. Blocking: call it in a thread."""
    return dict(_walk(folder, "", ignored))


def _walk(folder: Path, inside: str, ignored: Ignored) -> Iterator[tuple[str, Entry]]:
    rules = folder / ".gitignore"
    if rules.is_file():
        ignored.add(inside.rstrip("/"), rules.read_text(errors="replace"))
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path, is_folder = inside + entry.name, entry.is_dir(follow_symlinks=False)
            if ignored(path, is_folder=is_folder):
                continue
            if is_folder:
                yield from _walk(folder / entry.name, f"{path}/", ignored)
            elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                yield path, _entry(entry)


def _entry(entry: os.DirEntry[str]) -> Entry:
    if entry.is_symlink():
        return _link(str(Path(entry).readlink()))
    stat = entry.stat(follow_symlinks=False)
    return Entry(stat.st_size, int(stat.st_mtime), bool(stat.st_mode & 0o100))


def _link(target: str) -> Entry:
    return Entry(0, 0, link=target)


async def remote_manifest(devbox: AsyncDevbox, folder: str, ignored: Ignored | None = None) -> dict[str, Entry]:
    """What a folder of a devbox has; nothing where there is no such folder."""
    place = remote_path(folder)
    listing = await _output(devbox, f"test -d {place} && find {place} -mindepth 1 -printf {shlex.quote(_FIND)} || true")
    fields = listing.split("\0")[:-1]
    rows = [fields[i : i + _FIELDS] for i in range(0, len(fields), _FIELDS)]
    if ignored is not None:
        await _read_rules(devbox, folder, [path for kind, *_, path in rows if _is_rules(kind, path)], ignored)
    return dict(_remote_entries(rows, ignored))


def _is_rules(kind: str, path: str) -> bool:
    return kind == "f" and PurePosixPath(path).name == ".gitignore"


async def _read_rules(devbox: AsyncDevbox, folder: str, paths: Iterable[str], ignored: Ignored) -> None:
    for path in sorted(paths, key=lambda each: each.count("/")):
        parent = str(PurePosixPath(path).parent)
        text = await devbox.file.read(file_path=f"{folder.rstrip('/')}/{path}")
        ignored.add("" if parent == "." else parent, text)


def _remote_entries(rows: Iterable[list[str]], ignored: Ignored | None) -> Iterator[tuple[str, Entry]]:
    pruned: tuple[str, ...] = ()
    for kind, size, modified, mode, target, path in rows:  # a folder comes before what it has
        if path.startswith(pruned) and pruned:
            continue
        if ignored is not None and ignored(path, is_folder=kind == "d"):
            pruned = (*pruned, f"{path}/") if kind == "d" else pruned
        elif kind == "l":
            yield path, _link(target)
        elif kind == "f":
            yield path, Entry(int(size), int(float(modified)), bool(int(mode, 8) & 0o100))


async def push(
    devbox: AsyncDevbox, local: Path, remote: str, progress: Progress, *, delete: bool = False, all_files: bool = False
) -> Synced:
    """Make a devbox's folder like one here. `delete` removes what is not here, `all_files` ignores no file."""
    progress.step = "comparing"
    here, there = await asyncio.gather(
        asyncio.to_thread(local_manifest, local, Ignored(everything_counts=all_files)), remote_manifest(devbox, remote)
    )
    changes = changed(here, there)
    doomed = _not_ignored(local, changes.extra, all_files=all_files) if delete else ()
    if changes.send:
        await _send(devbox, local, remote, changes, progress)
    if doomed:
        await _remove(devbox, remote, doomed)
    return Synced(changes.send, doomed, len(here) - len(changes.send), changes.size)


async def pull(
    devbox: AsyncDevbox, remote: str, local: Path, progress: Progress, *, delete: bool = False, all_files: bool = False
) -> Synced:
    """Make a folder here like a devbox's. `delete` removes what is not there, `all_files` ignores no file."""
    progress.step = "comparing"
    ignored = Ignored(everything_counts=all_files)
    there = await remote_manifest(devbox, remote, ignored)
    if not there and not await _has_folder(devbox, remote):
        raise UsageError(f"There is no folder {remote!r} on the devbox.")
    here = await asyncio.to_thread(local_manifest, local, ignored) if await asyncio.to_thread(local.is_dir) else {}
    changes = changed(there, here)
    if changes.send:
        await _fetch(devbox, remote, local, changes, progress)
    doomed = changes.extra if delete else ()
    for path in doomed:
        await asyncio.to_thread((local / path).unlink, missing_ok=True)
    return Synced(changes.send, doomed, len(there) - len(changes.send), changes.size)


def _not_ignored(local: Path, paths: Iterable[str], *, all_files: bool) -> tuple[str, ...]:
    """Of what only the devbox has, what is not ignored: builds and caches there are nobody's business."""
    ignored = Ignored(everything_counts=all_files)
    local_manifest(local, ignored)  # reads the rules
    return tuple(path for path in paths if not any(_is_ignored(part, path, ignored) for part in _ancestry(path)))


def _ancestry(path: str) -> Iterator[str]:
    yield path
    yield from map(str, PurePosixPath(path).parents[:-1])


def _is_ignored(part: str, path: str, ignored: Ignored) -> bool:
    return ignored(part, is_folder=part != path)


async def _send(devbox: AsyncDevbox, local: Path, remote: str, changes: Changes, progress: Progress) -> None:
    progress.step, progress.total = f"{len(changes.send):,} files", None
    with tempfile.SpooledTemporaryFile(max_size=_SMALL) as packed:
        archive = cast("BinaryIO", packed)
        await asyncio.to_thread(_pack, local, changes.send, archive)
        progress.total = await asyncio.to_thread(_rewound, archive)
        async with _parked(devbox) as parcel:
            await devbox.file.upload(path=parcel.path, file=archive, progress=lambda done: _moved(progress, done))
            place = remote_path(remote)
            await _output(devbox, f"mkdir -p {place} && tar -xzf {parcel.path} -C {place} --unlink-first")


async def _fetch(devbox: AsyncDevbox, remote: str, local: Path, changes: Changes, progress: Progress) -> None:
    progress.step = f"{len(changes.send):,} files"
    with tempfile.SpooledTemporaryFile(max_size=_SMALL) as packed:
        archive = cast("BinaryIO", packed)
        async with _parked(devbox) as parcel:
            names = "\0".join(changes.send).encode()
            await devbox.file.upload(path=parcel.path, file=names)
            place, tar = remote_path(remote), f"{parcel.path}.tar.gz"
            size = await _output(
                devbox,
                f"tar -czf {tar} -C {place} --null --verbatim-files-from -T {parcel.path} && stat -c %s {tar}",
            )
            progress.total = int(size)
            async with devbox.file.stream(path=tar) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(archive.write, piece)
                    progress.done += len(piece)
        await asyncio.to_thread(_unpack, archive, local)


async def _remove(devbox: AsyncDevbox, remote: str, paths: Iterable[str]) -> None:
    async with _parked(devbox) as parcel:
        await devbox.file.upload(path=parcel.path, file="\0".join(paths).encode())
        await _output(devbox, f"cd {remote_path(remote)} && xargs -0 rm -f -- < {parcel.path}")


class _parked:  # noqa: N801 - used as a function
    """A path in the devbox for something on its way; it and what is named after it are gone in the end."""

    def __init__(self, devbox: AsyncDevbox) -> None:
        self._devbox = devbox
        self.path = ""

    async def __aenter__(self) -> _parked:
        self.path = (await _output(self._devbox, "mktemp /tmp/runloop-XXXXXXXX")).strip()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from runloop_sdk import run_undo

        removing = _output(self._devbox, f"rm -f -- {self.path} {self.path}.tar.gz")
        if error is None:
            await removing
        else:
            await run_undo(removing, error)


def _pack(folder: Path, paths: Iterable[str], archive: BinaryIO) -> None:
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=3) as tar:
        for path in paths:
            tar.add(folder / path, arcname=path, recursive=False)


def _unpack(archive: BinaryIO, folder: Path) -> None:
    archive.seek(0)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        try:
            tar.extractall(folder, filter="data")
        except tarfile.FilterError as error:
            raise UsageError(
                f"{error.tarinfo.name!r} would be written outside of {str(folder)!r}: nothing from it on was fetched."
            ) from error


def _rewound(archive: BinaryIO) -> int:
    size = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    return size


def _moved(progress: Progress, done: int) -> None:
    progress.done = done


async def _has_folder(devbox: AsyncDevbox, path: str) -> bool:
    return (await devbox.cmd.exec(f"test -d {remote_path(path)}")).success


async def _output(devbox: AsyncDevbox, command: str) -> str:
    result = await devbox.cmd.exec(command)
    if not result.success:
        told = (await result.stderr()).strip().splitlines()
        raise RemoteError(f"{command.split()[0]} failed on the devbox: {told[-1] if told else result.exit_code}")
    return await result.stdout()


def remote_path(path: str) -> str:
    """A path for a command line: quoted, `~/` as the home, and never taken for an option."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + shlex.quote(path[1:])
    return shlex.quote(path if path.startswith("/") else f"./{path}")
