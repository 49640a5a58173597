"""Files of a devbox, read and written by programs that run inside it, as its user."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec

from ...sandbox.base import NO_ROOM, Command
from ..errors import DiskFullError, InvalidError, NotFoundError, TooLargeError
from .execution import settle
from .pipes import PipeReader, PipeWriter, chunks, close_all, open_each, open_nothing, open_pipe

if TYPE_CHECKING:
    from ...sandbox.base import Process, Sandbox, User
    from ..fair_queue import Flow

_MISSING, _FOLDER, _DENIED, _TOO_LARGE = 44, 45, 46, 47
_NOT_THERE = ("No such file or directory", "Not a directory")
_NO_ROOM = (NO_ROOM, "Disk quota exceeded")
_READ = f"""[ ! -d "$1" ] || exit {_FOLDER}
[ -e "$1" ] || {{ cat -- "$1" && exit; exit {_MISSING}; }}
[ -r "$1" ] || exit {_DENIED}
[ -z "$2" ] || [ ! -f "$1" ] || [ "$(wc -c <"$1")" -le "$2" ] || exit {_TOO_LARGE}
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
trap 'trap "" TERM; rm -f -- "$part"' EXIT
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
_LAST_CALLS, _BETWEEN = 10, 1.0  # how often a program is told to end, and the seconds that it has each time


class _Complaints(msgspec.Struct):
    """The beginning of a program's standard error."""

    text: bytes = b""

    def add(self, data: bytes) -> None:
        # The rest is read and dropped: it may be a complaint about each of a million files.
        self.text = (self.text + data)[:4096]


class _Program(msgspec.Struct):
    """A program at work on a file of a devbox."""

    path: str
    process: Process
    complaints: _Complaints
    readers: list[PipeReader] = msgspec.field(default_factory=list)

    async def check(self) -> None:
        """Wait for its end; raises the error that it ended with."""
        code = await self.process.wait()
        await settle(self.readers)
        if code:
            raise _problem(self.path, code, self.complaints.text.decode("utf-8", "replace").strip())

    async def kill(self) -> None:
        """Kill it; an unfinished file goes as well."""
        # More than once: what a shell has forked and not executed yet hears nothing, and the shell waits for it.
        for _ in range(_LAST_CALLS):
            await self.process.signal(signal.SIGTERM, group=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(_BETWEEN):
                    await self.process.wait()
                break
        else:
            await self.process.signal(signal.SIGKILL, group=True)
        for reader in self.readers:
            reader.close()


class Files:
    """The file operations of one devbox."""

    def __init__(self, sandbox: Sandbox, user: User, flow: Flow) -> None:
        self._sandbox = sandbox
        self._flow = flow
        self._user: User = user

    async def claim(self, path: str, *, folder: bool) -> None:
        """Make the folder `path`, or the one above the file `path`, as root; a new folder is given to the user."""
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
                # The turn comes before the write: data is taken from the client no faster than the devbox may move it.
                await self._flow.turn()
                self._flow.moved(len(data))
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

    async def read(self, path: str, most: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of `path`, read only as fast as they are taken. Errors are raised before the first.

        With `most`, `TooLargeError` for a file that has more; where nobody can know (a device, a pipe), after so many.
        """
        read, write = open_pipe()
        try:
            program = await self._start(_READ, path, "" if most is None else str(most), stdout=write)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        stream = chunks(read, self._flow)
        try:
            # The first piece, before the answer's head is sent: with it a missing file is a 404, not a broken download.
            first = await anext(stream, b"")
            if not first:
                await program.check()
        except asyncio.CancelledError:  # a pipe may have nothing to say for ever
            await program.kill()
            raise
        return _contents(first, stream, program, most)

    async def _start(
        self, script: str, path: str, *more: str, stdin: int = -1, stdout: int = -1, user: User | None = None
    ) -> _Program:
        argv = ("/bin/sh", "-c", script, "sh", self._sandbox.path(_from_home(path)), *more)
        error, (nothing, _) = open_each(open_pipe, open_nothing)
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
        # Read all the time: a program that has more to complain about than a pipe holds would else wait for ever.
        complaints = _Complaints()
        return _Program(path, process, complaints, [PipeReader(error[0], complaints.add, self._flow)])


async def _contents(
    first: bytes, rest: AsyncIterator[bytes], program: _Program, most: int | None
) -> AsyncIterator[bytes]:
    complete, left = False, float("inf") if most is None else most - len(first)
    try:
        if first:
            yield first
            async for data in rest:
                left -= len(data)
                if left < 0:
                    raise _too_large(program.path)
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


def _too_large(path: str) -> TooLargeError:
    return TooLargeError(f"{path!r} is too large to be read as text: download it instead.")


def _problem(path: str, code: int, complaint: str) -> Exception:
    lines = [line for line in complaint.split("\n") if "previous errors" not in line] or [""]
    said = lines[-1].rpartition(": ")[2] or f"exit status {code}"
    denied = InvalidError(f"The devbox's user may not use {path!r}: permission denied.")
    if code == _MISSING and said in _NOT_THERE:
        return NotFoundError(f"No file {path!r} in the devbox.")
    known = {
        _FOLDER: InvalidError(f"{path!r} is a folder, not a file."),
        _DENIED: denied,
        _TOO_LARGE: _too_large(path),
    }
    if code in known:
        return known[code]
    if "Permission denied" in complaint:
        return denied
    if said in _NO_ROOM:
        return DiskFullError(f"{path!r} cannot be written: {said}.")
    return InvalidError(f"{path!r} cannot be used: {said}.")
