"""One folder of a devbox as a whole: listing it, and transferring its files in both directions.

All output and data of a devbox is untrusted: paths are checked, sizes are bounded, and nothing is written outside of
the local folder.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Unpack, cast

from ._downloads import Progress
from ._errors import ArchiveError, CommandError
from ._extraction import Skipped, extract
from ._file_times import nanoseconds
from ._hostile_tar import ExtractionLimits, HostileTar
from ._listing import (
    LIST_COMMAND,
    Entry,
    Listing,
    conflicts,
    is_below,
    list_folder,
    parse_listing,
    refused_link,
    unpacked,
)
from ._local_files import local_file
from ._placing import Placing, placing_script
from .archives import SMALL, ArchiveWriter, Packed
from .cancellation import run_undo
from .gitignore import GITIGNORE, RULES_BYTES, IgnoreRules
from .own_commands import file_command, quoted_path

if TYPE_CHECKING:
    from .params.devboxes import DevboxDownloadFileParams, DevboxUploadFileParams
    from .resources.command import AsyncCommandInterface

__all__ = [
    "Entry",
    "Fetched",
    "Listing",
    "Packed",
    "Placing",
    "RemoteFolder",
    "Sent",
    "conflicts",
    "is_below",
    "list_folder",
    "refused_link",
]

_ALL_RULES = ExtractionLimits(bytes=64 << 20, members=100_000)
_OUTPUT_CHARACTERS = 256_000_000  # of a listing: some million files
_LONGEST_REASON = 2000
_GROWTH_BYTES = 64 << 20  # bytes by which files may grow between the listing and the archive
_TAR_BYTES = 4 << 10  # of a member's headers, at most with most names
_PACKED = "gzip -1 | base64"
_TAR = "tar --format=posix --null --verbatim-files-from --no-recursion --ignore-failed-read"

_REQUIRE_GNU = (
    "{ find / -maxdepth 0 -printf '' && tar --version | grep -q GNU; } 2>/dev/null || "
    "{ echo 'its image has no GNU find and tar, which folders need (Alpine: apk add findutils tar coreutils)' >&2; "
    "exit 3; }"
)

_RULES_COMMAND = rf"""
top=$(pwd -P); while [ ! -e "$top/.git" ] && [ "$top" != / ]; do top=$(dirname "$top"); done
[ -e "$top/.git" ] || top=$(pwd -P)
here=$(pwd -P); above=${{here#"$top"}}; printf %s "$above" | {_PACKED}; echo --
find . -name {GITIGNORE} -type f -readable -size -{RULES_BYTES // 1024 + 1}k -print0 |
{_TAR} -cf - -T - | {_PACKED}; echo --
cd "$top" && {{ [ ! -f .git/info/exclude ] || printf '.git/info/exclude\0'; up=${{above#/}}
while [ -n "$up" ]; do case $up in */*) up=${{up%/*}};; *) up=;; esac
f=${{up:+$up/}}{GITIGNORE}; [ ! -f "$f" ] || [ -L "$f" ] || printf '%s\0' "$f"; done
}} | {_TAR} -cf - -T - | {_PACKED}
"""
"""Prints the path of the current folder in its repository, the rules below it, and those above it."""


_TIDY_COMMAND = "find . -maxdepth 1 -name '.runloop-*.part' -mmin +1440 -exec rm -rf {} +"
"""Removes temporary files older than a day: their transfer was killed before it could clean up."""
TREE = "tree/"
"""The folder of an uploaded archive that contains the files."""
Packer = Callable[[ArchiveWriter], tuple[Packed, Placing]]
"""Adds files to an archive and returns how to place them. Blocking."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of an upload: the files that could not be placed, and the paths that could not be removed."""

    left_out: tuple[Skipped, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of a download: paths in place, paths left out and why, and files that changed meanwhile."""

    placed: frozenset[str] = frozenset()
    left_out: tuple[Skipped, ...] = ()
    changed: tuple[str, ...] = ()


class FileTransfers(Protocol):
    """The part of `devbox.file` that transfers single files."""

    async def upload(self, *, progress: Progress | None = None, **params: Unpack[DevboxUploadFileParams]) -> object:
        """Upload a file."""

    def stream(self, **params: Unpack[DevboxDownloadFileParams]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of a file as they arrive."""


class RemoteFolder:
    """The folder `path` of a devbox."""

    def __init__(self, files: FileTransfers, commands: AsyncCommandInterface, path: str) -> None:
        self._files = files
        self._commands = commands
        self._quoted = quoted_path(path)
        self.path = path

    async def list(self) -> Listing | None:
        """List the folder; None if it does not exist. Raises `CommandError` if the path is not a folder."""
        printed = await self._run(f"""export LC_ALL=C; {_REQUIRE_GNU}
if [ -d {self._quoted} ]; then cd {self._quoted} && {{ {LIST_COMMAND}; printf 'end\\0%s\\0' $?; }} | {_PACKED}
elif [ -e {self._quoted} ] || [ -L {self._quoted} ]; then echo no folder
else ls -d -- {self._quoted} 2>&1; true; fi""")
        if printed == "no folder\n":
            raise CommandError(f"{self.path!r} is no folder on the devbox.", exit_code=1)
        if "No such file or directory" in printed:
            return None
        if printed.startswith("ls: "):
            raise CommandError(f"The devbox does not show {self.path!r}: {_error_text(printed)}.", exit_code=1)
        return await asyncio.to_thread(parse_listing, printed)

    async def rules(self, listing: Listing) -> IgnoreRules:
        """The rules by which git ignores files in it; raises `ArchiveError` if a `.gitignore` is too large."""
        for path, entry in listing.entries.items():
            is_rules = entry.kind == "file" and path.rpartition("/")[2] == GITIGNORE
            if is_rules and entry.size > RULES_BYTES:
                raise ArchiveError(f"{path} on the devbox is over {RULES_BYTES:,} bytes")
        printed = await self._run(f"export LC_ALL=C; cd {self._quoted} && {{ {_RULES_COMMAND} }}")
        return await asyncio.to_thread(_read_rules, printed)

    async def checksums(self, paths: Iterable[str]) -> dict[str, str]:
        """Path to SHA-256 in hex, for those of the files that can be read."""
        async with self._temporary_file() as temporary:
            await self._files.upload(path=temporary, file=_names(paths))
            printed = await self._run(
                f"cd {self._quoted} && xargs -0 sha256sum -z -- < {temporary} 2>/dev/null | {_PACKED}"
            )
        return dict(await asyncio.to_thread(_read_checksums, printed))

    async def send(
        self, pack: Packer, *, progress: Progress | None = None, expect: Progress | None = None
    ) -> tuple[Packed, Sent]:
        """Upload the files that `pack` adds to an archive under `TREE`; creates the folder if it does not exist.

        Everything arrives in a temporary folder first, and is moved into place file by file from there. `expect` is
        called with the number of bytes to be sent.
        """
        staging = f".runloop-{secrets.token_hex(6)}.part"
        with tempfile.SpooledTemporaryFile(max_size=SMALL) as spooled:
            archive = cast("BinaryIO", spooled)
            packed = await asyncio.to_thread(_pack, archive, pack, staging)
            if expect is not None:
                expect(await asyncio.to_thread(_size, archive))
            async with self._temporary_file(f"{self._quoted}/{staging}") as temporary:
                await self._files.upload(path=temporary, file=archive, progress=progress)
                printed = await self._run(
                    f"mkdir -p {self._quoted} && cd {self._quoted} && {_TIDY_COMMAND} && mkdir {staging} && "
                    f"tar -xzpf {temporary} -C {staging} --no-same-owner --warning=no-unknown-keyword && "
                    f"{{ sh {staging}/place 3>{staging}/report >/dev/null 2>{staging}/problems; "
                    f"cat {staging}/report | {_PACKED}; echo --; head -c 100000 {staging}/problems | {_PACKED}; }}"
                )
        return packed, await asyncio.to_thread(_read_report, printed)

    async def fetch(
        self,
        local: Path,
        wanted: Mapping[str, Entry],
        *,
        limits: ExtractionLimits | None = None,
        room: Callable[[], AbstractContextManager[object]] = nullcontext,
        progress: Progress | None = None,
        expect: Progress | None = None,
    ) -> Fetched:
        """Download the files, links and folders in `wanted`, entries of its listing, into a local folder.

        The local folder is created. `expect` is called with the number of bytes to be received; the context manager
        `room` is entered while files are put in place. Raises `ArchiveError` if more bytes come than they can have.
        """
        size = sum(entry.size for entry in wanted.values())
        # Files may have grown since the listing, but a devbox cannot make a small folder fill the disk.
        most = 2 * size + _GROWTH_BYTES + _TAR_BYTES * len(wanted)
        limits = limits or ExtractionLimits(bytes=2 * size + _GROWTH_BYTES)
        with tempfile.SpooledTemporaryFile(max_size=SMALL) as spooled:
            archive = cast("BinaryIO", spooled)
            async with self._temporary_file() as temporary:
                await self._files.upload(path=temporary, file=_names(wanted))
                after = await self._archive(temporary, expect)
                async with self._files.stream(path=f"{temporary}.tar.gz") as pieces:
                    done = 0
                    async for piece in _at_most(most, pieces):
                        with local_file():
                            await asyncio.to_thread(archive.write, piece)
                        done += len(piece)
                        if progress is not None:
                            progress(done)
            return await asyncio.to_thread(_extract, archive, local, wanted, after, limits, room)

    async def _archive(self, temporary: str, expect: Progress | None) -> dict[str, tuple[int, int]]:
        """Archive the paths that `temporary` lists; path to size and time of each file, read after that."""
        printed = await self._run(
            f"export LC_ALL=C; cd {self._quoted} && {_TAR} -czf {temporary}.tar.gz -T {temporary}; code=$?; "
            f"[ $code -le 1 ] || exit $code; stat -c %s {temporary}.tar.gz; "
            f"xargs -0 stat --printf '%s\\0%.9Y\\0%n\\0' -- < {temporary} 2>/dev/null | {_PACKED}"
        )
        size, _, times = printed.partition("\n")
        if expect is not None and re.fullmatch("[0-9]{1,18}", size):
            expect(int(size))
        return await asyncio.to_thread(_read_times, times)

    @asynccontextmanager
    async def _temporary_file(self, *others: str) -> AsyncIterator[str]:
        """The path of a temporary file in the devbox; it, its archive and `others` are removed in the end."""
        temporary = (await self._run(f"{_REQUIRE_GNU}; mktemp /tmp/runloop-XXXXXXXX")).strip()
        if not re.fullmatch(r"/tmp/runloop-[A-Za-z0-9]{8}", temporary):  # noqa: S108 -- of the devbox
            raise ArchiveError(f"The devbox says {temporary[:80]!r} when asked for a temporary file.")
        removing = f"rm -f -- {temporary} {temporary}.tar.gz"
        for each in others:
            removing += f"; [ ! -d {each} ] || {{ chmod -R u+rwx {each}; rm -rf {each}; }}"
        try:
            yield temporary
        except BaseException as error:
            await run_undo(self._run(removing), error)
            raise
        await self._run(removing)

    async def _run(self, command: str) -> str:
        result = await self._commands.exec(file_command(command))
        if not result.success:
            lines = [
                line
                for line in (result.result.stderr or "")[:_LONGEST_REASON].strip().splitlines()
                if "Warning:" not in line
            ]
            reason = lines[0] if lines else f"a command ended with {result.exit_code}"
            raise CommandError(f"The devbox could not do it in {self.path!r}: {reason}", exit_code=result.exit_code)
        return await result.stdout(limit=_OUTPUT_CHARACTERS)


def _names(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


async def _at_most(limit: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ArchiveError(f"The devbox sends more than the {limit:,} bytes that its files can make.")
        yield piece


def _pack(archive: BinaryIO, pack: Packer, staging: str) -> Packed:
    with local_file(), ArchiveWriter(archive) as writer:
        packed, placing = pack(writer)
        writer.add_bytes("place", placing_script(placing, staging))
    return packed


def _size(archive: BinaryIO) -> int:
    size = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    return size


def _read_report(printed: str) -> Sent:
    report, _, problems = printed.partition("--\n")
    names = [os.fsdecode(name) for name in unpacked(report).split(b"\0") if name]
    reasons = {_error_text(line) for line in unpacked(problems).decode(errors="replace").splitlines()}
    why = f"the devbox did not take it: {reasons.pop()}" if len(reasons) == 1 else "the devbox did not take it"
    left_out = tuple(Skipped(name[1:], why) for name in names if name.startswith("p"))
    return Sent(left_out, tuple(name[1:] for name in names if name.startswith("r")))


def _error_text(line: str) -> str:
    """The last part of an error message: the reason, without the program and the path."""
    return line.strip().rpartition(": ")[2] or "it did not say why"


def _read_rules(printed: str) -> IgnoreRules:
    parts = printed.split("--\n")
    if len(parts) != 3:
        raise ArchiveError("The devbox's rules for git cannot be read.")
    rules = IgnoreRules(os.fsdecode(unpacked(parts[0])).strip("/"), trusted=False)
    for name, text in _texts(parts[1]):
        rules.add(name.rpartition("/")[0], text)
    for name, text in _texts(parts[2]):
        if name == ".git/info/exclude":
            rules.add_general(text)
        else:
            rules.add_above(name.rpartition("/")[0], text)
    return rules


def _decoded(printed: str) -> bytes:
    try:
        return base64.b64decode(printed)
    except ValueError as error:
        raise ArchiveError(f"What the devbox printed cannot be read: {error}.") from error


def _texts(printed: str) -> list[tuple[str, bytes]]:
    """The names and contents of the files in an archive printed as base64."""
    tar = HostileTar(io.BytesIO(_decoded(printed)), _ALL_RULES)
    return [
        (member.name.removeprefix("./"), b"".join(tar.pieces(member)))
        for member in tar.members()
        if member.isreg() and member.size <= RULES_BYTES
    ]


def _read_checksums(printed: str) -> Iterable[tuple[str, str]]:
    for line in unpacked(printed).split(b"\0"):
        checksum, _, name = line.partition(b"  ")
        yield os.fsdecode(name), checksum.decode("ascii", "replace")


def _read_times(printed: str) -> dict[str, tuple[int, int]]:
    fields = unpacked(printed).split(b"\0")
    found = {}
    for start in range(0, len(fields) - 3, 3):
        size, modified, name = (os.fsdecode(each) for each in fields[start : start + 3])
        if re.fullmatch("[0-9]{1,18}", size):
            found[name] = (int(size), nanoseconds(modified) or 0)
    return found


def _extract(
    archive: BinaryIO,
    local: Path,
    wanted: Mapping[str, Entry],
    after: Mapping[str, tuple[int, int]],
    limits: ExtractionLimits,
    room: Callable[[], AbstractContextManager[object]],
) -> Fetched:
    changed: list[str] = []

    def refusal(name: str, size: int, modified: int) -> str | None:
        now = after.get(name, (size, modified))
        if now[0] < size:
            return "it became shorter while it was read"
        if now != (size, modified):
            changed.append(name)
        return None

    archive.seek(0)
    with local_file():
        local.mkdir(parents=True, exist_ok=True)
        with room():
            done = extract(archive, local, wanted=wanted, limits=limits, refusal=refusal)
    named = {each.name for each in done.left_out} | done.placed
    # What is gone in the devbox by now is not missed.
    missing = (Skipped(name, "the devbox did not send it") for name in wanted if name not in named and name in after)
    return Fetched(done.placed, (*done.left_out, *missing), tuple(changed))
