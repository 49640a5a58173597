"""Files of a devbox, read and written by programs that run inside it, as its user."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..sandbox.base import Command
from .errors import DiskFullError, InvalidError, NotFoundError
from .execution import settle
from .pipes import PipeReader, PipeWriter, chunks, close_all, open_pipe

if TYPE_CHECKING:
    from ..sandbox.base import Process, Sandbox, User

_MISSING, _FOLDER, _DENIED = 44, 45, 46
_READ = f"""[ -e "$1" ] || [ -L "$1" ] || exit {_MISSING}
[ ! -d "$1" ] || exit {_FOLDER}
[ -r "$1" ] || exit {_DENIED}
exec cat -- "$1"
"""
_CLAIM = """[ -d "$1" ] || { mkdir -p -- "$1" && chown user -- "$1"; }
"""
Packing = Literal["tar", "tar.gz", "gz"]
_UNPACK = """mkdir -p -- "$1" && exec tar -xo%sf - -C "$1"
"""
# A file comes into being, or changes, as a whole or not at all, where its folder and its owner allow that; it keeps
# its mode, and links to it. What is no regular file, or belongs to somebody else, is written to as it is.
_WRITE = f"""[ ! -d "$1" ] || exit {_FOLDER}
to=$1; [ ! -L "$1" ] || to=$(readlink -f -- "$1") || to=$1
case $to in */*) folder=${{to%/*}} ;; *) folder=. ;; esac
[ -d "${{folder:=/}}" ] || mkdir -p -- "$folder" || exit
if [ ! -w "$folder" ] || {{ [ -e "$to" ] && {{ [ ! -f "$to" ] || [ ! -O "$to" ] || [ ! -w "$to" ]; }}; }}; then
    exec COPY >"$to"
fi
part=$folder/.${{to##*/}}.$$.part
trap 'rm -f -- "$part"' EXIT
trap 'exit 143' TERM
COPY >"$part" || exit
if [ -e "$to" ]; then
    chmod "$(stat -c %a -- "$to" 2>/dev/null || stat -f %Lp -- "$to")" "$part" || exit
fi
mv -f -- "$part" "$to" || exit
trap - EXIT
"""
_SCRIPTS: dict[Packing | None, str] = {
    None: _WRITE.replace("COPY", "cat"),
    "gz": _WRITE.replace("COPY", "gzip -dc"),
    "tar": _UNPACK % "",
    "tar.gz": _UNPACK % "z",
}
_LAST_CALL = 2.0  # seconds for a program to clear up after itself


@dataclass(slots=True)
class _Complaints:
    """The beginning of what a program said on its standard error."""

    text: bytes = b""

    def add(self, data: bytes) -> None:
        self.text = (self.text + data)[:4096]


@dataclass(slots=True)
class _Program:
    """A program at work on a file of a devbox."""

    path: str
    process: Process
    complaints: _Complaints
    readers: list[PipeReader] = field(default_factory=list)

    async def check(self) -> None:
        """Wait for its end; raise what it ran into."""
        code = await self.process.wait()
        await settle(self.readers)
        if code:
            raise _problem(self.path, code, self.complaints.text.decode("utf-8", "replace").strip())

    async def kill(self) -> None:
        """End it; what it had begun to write goes as well."""
        await self.process.signal(signal.SIGTERM, group=True)
        try:
            async with asyncio.timeout(_LAST_CALL):
                await self.process.wait()
        except TimeoutError:
            await self.process.signal(signal.SIGKILL, group=True)
        for reader in self.readers:
            reader.close()


class Files:
    """The file operations of one devbox."""

    def __init__(self, sandbox: Sandbox, user: User) -> None:
        self._sandbox = sandbox
        self._user: User = user

    async def claim(self, path: str, *, folder: bool) -> None:
        """Make the folder `path`, or the one it is to lie in, wherever that is; a new one is the user's."""
        if self._user != "root":
            place = path if folder else path.rpartition("/")[0] or "/"
            await (await self._start(_CLAIM, place, user="root")).check()

    async def write(self, path: str, source: AsyncIterator[bytes], packing: Packing | None = None) -> None:
        """Write what comes from `source` to `path`, making its folders; at once, in constant memory.

        Where the source fails, a file stays as it was. What is packed is unpacked: an archive into the folder `path`,
        where its members stay.
        """
        read, write = open_pipe()
        try:
            program = await self._start(_SCRIPTS[packing], path, stdin=read)
        except BaseException:
            os.close(write)
            raise
        finally:
            os.close(read)
        writer = PipeWriter(write)
        try:
            async for data in source:
                await writer.write(data)
        except BrokenPipeError:
            pass  # it gave up; `check` says why
        except BaseException:
            try:
                await program.kill()  # before the pipe is closed, which would say that this was all
            finally:
                writer.close()
            raise
        writer.close()
        await program.check()

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of `path`, read only as fast as they are taken. Errors are raised before the first."""
        read, write = open_pipe()
        try:
            program = await self._start(_READ, path, stdout=write)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        stream = chunks(read)
        first = await anext(stream, b"")
        if not first:
            await program.check()
        return _contents(first, stream, program)

    async def _start(
        self, script: str, path: str, *, stdin: int = -1, stdout: int = -1, user: User | None = None
    ) -> _Program:
        argv = ("/bin/sh", "-c", script, "sh", self._sandbox.path(_from_home(path)))
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        error = open_pipe()
        try:
            process = await self._sandbox.spawn(
                Command(argv, user or self._user),
                stdin=stdin if stdin >= 0 else nothing,
                stdout=stdout if stdout >= 0 else nothing,
                stderr=error[1],
            )
        except BaseException:
            os.close(error[0])
            raise
        finally:
            close_all(error[1], nothing)
        complaints = _Complaints()
        return _Program(path, process, complaints, [PipeReader(error[0], complaints.add)])


async def _contents(first: bytes, rest: AsyncIterator[bytes], program: _Program) -> AsyncIterator[bytes]:
    complete = False
    try:
        if first:
            yield first
            async for data in rest:
                yield data
            await program.check()
        complete = True
    finally:
        if not complete:
            await program.kill()


async def whole(data: bytes) -> AsyncIterator[bytes]:
    """`data` as a source to write from."""
    yield data


def _from_home(path: str) -> str:
    """The path for a program that starts in the home directory."""
    if not path or "\0" in path:
        raise InvalidError("The file's path is empty or holds a NUL character.")
    return path[2:] or "." if path.startswith("~/") else path


def _problem(path: str, code: int, complaint: str) -> Exception:
    lines = [line for line in complaint.split("\n") if "previous errors" not in line] or [""]
    said = lines[-1].rpartition(": ")[2] or f"exit status {code}"
    denied = InvalidError(f"The devbox's user may not use {path!r}: permission denied.")
    known = {
        _MISSING: NotFoundError(f"No file {path!r} in the devbox."),
        _FOLDER: InvalidError(f"{path!r} is a folder, not a file."),
        _DENIED: denied,
    }
    if code in known:
        return known[code]
    if "Permission denied" in complaint:
        return denied
    if "No space left" in complaint or "quota" in complaint:
        return DiskFullError(f"{path!r} cannot be written: {said}.")
    return InvalidError(f"{path!r} cannot be used: {said}.")
