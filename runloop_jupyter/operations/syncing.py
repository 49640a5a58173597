"""Folders kept alike here and in a devbox: only what differs travels. `comparing` decides, here it is carried out."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text.progress import Progress
from .comparing import Comparison, Ignored, Sides, check_content, check_way, compare, doomed, settled

if TYPE_CHECKING:
    from runloop_sdk import AsyncDevbox, Skipped
    from runloop_sdk.archives import ArchiveWriter
    from runloop_sdk.folders import Fetched, Listing, Packed, Placing, RemoteFolder
    from runloop_sdk.gitignore import IgnoreRules

_READ_BYTES = 1 << 20
_HERE, _THERE = "here", "on the devbox"
_PULLED_MODE = 0o155
"""Of permissions, what a pull can give: see `file_mode` of the SDK's extraction."""


@dataclass(frozen=True, slots=True)
class Synced:
    """The changes that a push or pull made. The names of folders end in a slash."""

    sent: tuple[str, ...]
    """Files and links."""
    deleted: tuple[str, ...]
    unchanged: int
    size: int
    """Bytes of the files that were sent."""
    left_out: tuple[Skipped, ...] = ()
    """Files that were not taken, and why."""
    made: tuple[str, ...] = ()
    """Folders that are new."""
    changed: tuple[str, ...] = ()
    """Files that changed while they were read; they arrived as they were then."""
    kept: tuple[str, ...] = ()
    """Files that `--delete` should have removed and could not."""
    gaps: bool = False
    """True if the listing had gaps at places that nobody knows, so that nothing was deleted."""


async def push(
    devbox: AsyncDevbox, local: Path, remote: str, progress: Progress, *, delete: bool = False, all_files: bool = False
) -> Synced:
    """Make a devbox's folder like one here. `delete` removes what is not here, `all_files` ignores no file."""
    from runloop_sdk.folders import Listing, RemoteFolder

    progress.step = "comparing"
    folder = RemoteFolder(devbox.file, devbox.cmd, remote)
    (here, rules), found = await asyncio.gather(asyncio.to_thread(list_here, local, all_files=all_files), folder.list())
    if not here.complete:
        raise UsageError(f"{str(local)!r} cannot be listed by this account.")
    there = found or Listing()
    changes = compare(here, there)
    check_way(changes, here, there, Sides(_HERE, _THERE), delete=delete)
    theirs = await folder.rules(there) if delete and found is not None and not all_files else None
    ignored = _by_any(rules, theirs)
    for path in changes.in_the_way:
        check_content(path, _content(there, path), ignored, _THERE)
    files, folders = doomed(changes.extra, there, ignored) if delete else ([], [])
    changes = await _decided(changes, local, folder, pushes=True)
    left_out = list(here.left_out)
    if found is not None and not (changes.send or changes.folders or files or folders):
        return Synced((), (), changes.unchanged, 0, _once(left_out))
    progress.step = f"{len(changes.send):,} files"

    def pack(writer: ArchiveWriter) -> tuple[Packed, Placing]:
        return _packed(writer, local, here, changes, files, folders)

    packed, done = await folder.send(pack, progress=_moved(progress), expect=_expected(progress))
    refused = {each.name for each in done.left_out}
    sent = tuple(path for path in packed.paths if path not in refused)
    return Synced(
        sent,
        tuple(_named(files, folders, done.kept)),
        changes.unchanged,
        sum(here.entries[path].size for path in sent),
        _once([*left_out, *packed.left_out, *done.left_out]),
        tuple(f"{path}/" for path in changes.folders if path not in there.entries),
        tuple(packed.changed),
        done.kept,
    )


def _packed(
    writer: ArchiveWriter, local: Path, here: Listing, changes: Comparison, files: list[str], folders: list[str]
) -> tuple[Packed, Placing]:
    from runloop_sdk.folders import TREE, Placing

    packed = writer.add(local, changes.send, TREE)
    modes = {path: here.entries[path].mode & 0o777 | 0o700 for path in changes.folders}
    return packed, Placing(modes, packed.paths, changes.in_the_way, files, folders)


async def pull(
    devbox: AsyncDevbox, remote: str, local: Path, progress: Progress, *, delete: bool = False, all_files: bool = False
) -> Synced:
    """Make a folder here like a devbox's. `delete` removes what is not there, `all_files` ignores no file."""
    from runloop_sdk.folders import RemoteFolder

    progress.step = "comparing"
    folder = RemoteFolder(devbox.file, devbox.cmd, remote)
    there, theirs = await _list_there(folder, all_files=all_files)
    here, ours = await asyncio.to_thread(_list_target, local, theirs)
    changes = compare(there, here, mode=_PULLED_MODE)
    check_way(changes, there, here, Sides(_THERE, _HERE), delete=delete)
    ignored = _by_any(theirs, None if all_files else ours)
    for path in changes.in_the_way:
        check_content(path, await asyncio.to_thread(_content_here, local / path), ignored, _HERE)
    files, folders = await asyncio.to_thread(doomed, changes.extra, here, ignored) if delete else ([], [])
    changes = await _decided(changes, local, folder, pushes=False)
    progress.step = f"{len(changes.send):,} files"
    fetched = await _fetch(folder, local, there, changes, progress)
    kept = await asyncio.to_thread(_delete_here, local, files, folders)
    sent = tuple(path for path in changes.send if path in fetched.placed)
    return Synced(
        sent,
        tuple(_named(files, folders, kept)),
        changes.unchanged,
        sum(there.entries[path].size for path in sent),
        _once([*there.left_out, *fetched.left_out]),
        tuple(f"{path}/" for path in changes.folders if path in fetched.placed and path not in here.entries),
        fetched.changed,
        kept,
        gaps=not there.complete,
    )


def list_here(local: Path, *, all_files: bool) -> tuple[Listing, IgnoreRules | None]:
    """List what a local folder has that git does not ignore, with the rules by which it was chosen."""
    from runloop_sdk.folders import list_folder
    from runloop_sdk.gitignore import local_rules

    if all_files:
        return list_folder(local), None
    rules = local_rules(local)
    with _bounded():
        return list_folder(local, rules.read_below(local)), rules


@contextmanager
def _bounded() -> Iterator[None]:
    """Rules here that are too large are the user's to leave out."""
    from runloop_sdk.gitignore import CostlyRulesError

    try:
        yield
    except CostlyRulesError as error:
        raise UsageError(f"{error}: --no-ignore leaves it out of account.") from error


def _list_target(local: Path, theirs: IgnoreRules | None) -> tuple[Listing, IgnoreRules]:
    """List what a local folder has apart from what the devbox's rules ignore, with the rules that hold here."""
    from runloop_sdk.folders import Listing, list_folder
    from runloop_sdk.gitignore import local_rules

    rules = local_rules(local)
    if not local.is_dir():
        return Listing(), rules
    with _bounded():
        note = rules.read_below(local)

    def keep(path: str, is_folder: bool) -> bool:
        with _bounded():
            note(path, is_folder)
        return theirs is None or not _ignores(theirs, path, is_folder)

    return list_folder(local, keep), rules


async def _list_there(folder: RemoteFolder, *, all_files: bool) -> tuple[Listing, IgnoreRules | None]:
    """List what a devbox's folder has that can be taken and that git does not ignore, with the rules."""
    from runloop_sdk import ArchiveError

    listing = await folder.list()
    if listing is None:
        raise UsageError(f"There is no folder {folder.path!r} on the devbox.")
    if all_files:
        return await asyncio.to_thread(_takeable, listing, None), None
    try:
        rules = await folder.rules(listing)
    except ArchiveError as error:
        raise UsageError(f"{str(error).rstrip('.')}: --no-ignore pulls without it.") from error
    return await asyncio.to_thread(_takeable, listing, rules), rules


def _takeable(listing: Listing, rules: IgnoreRules | None) -> Listing:
    """A listing without what is ignored, and without links that lead out of the folder, which are named."""
    from runloop_sdk.folders import Listing, refused_link

    kept, refused = {}, []
    for path, entry in listing.entries.items():
        if rules is not None and _ignores(rules, path, entry.kind == "folder"):
            continue
        reason = refused_link(path, entry)
        if reason is not None:
            refused.append(reason)
        kept[path] = entry if reason is None else replace(entry, kind="other")  # it is there, and not taken
    named = [each for each in listing.left_out if each.name in kept or each.name not in listing.entries]
    return Listing(kept, [*named, *refused], listing.complete)


def _ignores(rules: IgnoreRules, path: str, is_folder: bool) -> bool:
    from runloop_sdk.gitignore import CostlyRulesError

    try:
        return rules(path, is_folder=is_folder)
    except CostlyRulesError as error:
        raise UsageError(f"{error} on the devbox: --no-ignore goes without it.") from error


def _by_any(*rules: IgnoreRules | None) -> Ignored:
    """Ignore what one of them ignores: builds and caches on either side are nobody's business."""
    return lambda path, is_folder: any(each is not None and _ignores(each, path, is_folder) for each in rules)


def _content(listing: Listing, folder: str) -> Listing:
    """Return the part of a listing below one of its folders."""
    from runloop_sdk.folders import Listing

    start = f"{folder}/"
    below = {path.removeprefix(start): each for path, each in listing.entries.items() if path.startswith(start)}
    itself = listing.entries[folder]
    return Listing(below, complete=listing.complete and (itself.kind != "folder" or itself.readable))


def _content_here(path: Path) -> Listing:
    from runloop_sdk.folders import Listing, list_folder

    return list_folder(path) if path.is_dir() and not path.is_symlink() else Listing()


async def _decided(changes: Comparison, local: Path, folder: RemoteFolder, *, pushes: bool) -> Comparison:
    """The comparison with the files whose content had to decide."""
    if not changes.unsure:
        return changes
    here, there = await asyncio.gather(
        asyncio.to_thread(_checksums, local, changes.unsure), folder.checksums(changes.unsure)
    )
    return settled(changes, here, there) if pushes else settled(changes, there, here)


def _checksums(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files here, of those that can be read."""
    found = {}
    for path in paths:
        try:
            with (folder / path).open("rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue  # whoever sends it says so
    return found


async def _fetch(folder: RemoteFolder, local: Path, there: Listing, changes: Comparison, progress: Progress) -> Fetched:
    """Fetch what differs; what is in the way here makes room once all has arrived, or is put back."""
    from runloop_sdk.folders import Fetched

    wanted = {path: there.entries[path] for path in (*changes.folders, *changes.send)}
    if not wanted:
        await asyncio.to_thread(local.mkdir, exist_ok=True)
        return Fetched()
    return await folder.fetch(
        local,
        wanted,
        room=lambda: _made_room(local, changes.in_the_way),
        progress=_moved(progress),
        expect=_expected(progress),
    )


@contextmanager
def _made_room(local: Path, paths: Iterable[str]) -> Iterator[None]:
    """Lay files and folders aside while others take their place; what has no successor comes back."""
    aside = local / f".runloop-{secrets.token_hex(8)}.part"
    moved = {local / path: aside / str(number) for number, path in enumerate(paths)}
    if moved:
        aside.mkdir()
    try:
        for path, place in moved.items():
            path.rename(place)
        yield
    finally:
        for path, place in moved.items():
            if _is_there(place) and not _is_there(path):
                place.rename(path)
        if moved:
            shutil.rmtree(aside, ignore_errors=True)


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _delete_here(local: Path, files: Iterable[str], folders: Iterable[str]) -> tuple[str, ...]:
    """Delete files, links and folders that are empty then; what is still there."""
    kept = []
    for path in files:
        try:
            (local / path).unlink(missing_ok=True)
        except OSError:
            kept.append(path)
    for path in sorted(folders, key=lambda each: -each.count("/")):
        try:
            (local / path).rmdir()
        except OSError:
            kept.append(path)
    return tuple(kept)


def _named(files: Iterable[str], folders: Iterable[str], kept: Iterable[str]) -> Iterator[str]:
    """Name the files that were deleted, as a sentence."""
    still = set(kept)
    yield from (path for path in files if path not in still)
    yield from (f"{path}/" for path in folders if path not in still)


def _once(left_out: Iterable[Skipped]) -> tuple[Skipped, ...]:
    """Each name with its first reason."""
    first: dict[str, Skipped] = {}
    for each in left_out:
        first.setdefault(each.name, each)
    return tuple(first.values())


def _moved(progress: Progress) -> Callable[[int], None]:
    def moved(done: int) -> None:
        progress.done = done

    return moved


def _expected(progress: Progress) -> Callable[[int], None]:
    def expected(total: int) -> None:
        progress.total = total

    return expected
