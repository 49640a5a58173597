"""Runs the programs of build steps, and those by which the service itself works on a disk, in its sandbox."""

from __future__ import annotations

import asyncio
import os
from typing import IO, TYPE_CHECKING

from ...sandbox.base import Command, failure
from ..devbox.execution import settle
from ..devbox.pipes import PipeReader, close_all, open_each, open_nothing, open_pipe, open_small_pipe
from ..storage.archive import Archive, ArchiveLimits, CopyRequest, save, send_documents_only

if TYPE_CHECKING:
    from pathlib import Path

    from ...sandbox.base import Sandbox
    from ..fair_queue import Flow
    from .log import BuildLog

_UNPACK = 'mkdir -p -- "$1" && exec tar -xp $2 -C "$1" -f -'
_KEEP_EXISTING = "--no-overwrite-dir --keep-directory-symlink"


class Programs:
    """Runs programs in the sandboxes of one build."""

    def __init__(self, log: BuildLog, flow: Flow, disk_bytes: int, *, has_root: bool) -> None:
        self._log = log
        self._flow = flow
        self._disk_bytes = disk_bytes
        self._has_root = has_root

    async def run(self, sandbox: Sandbox, command: Command) -> int:
        """Run a program, with its output in the log; returns its exit status."""
        (read, write), (nothing, _) = open_each(open_small_pipe, open_nothing)  # small: each line read becomes JSON
        reader = PipeReader(read, self._log.output, self._flow)
        try:
            try:
                process = await sandbox.spawn(command, stdin=nothing, stdout=write, stderr=write)
            finally:
                close_all(write, nothing)
            code = await process.wait()
            await settle([reader])
        finally:
            reader.close()
            self._log.end_output()
        return code

    async def script(self, sandbox: Sandbox, script: str, *arguments: str) -> None:
        """Run a trusted shell script as root; raises `SandboxError` with its output if it fails."""
        code, output = await self.run_trusted(sandbox, ("/bin/sh", "-c", script, "sh", *arguments))
        if code:
            raise failure(output or f"exit status {code}", output)

    async def run_trusted(
        self, sandbox: Sandbox, argv: tuple[str, ...], *, stdin: int = -1, stdout: int = -1
    ) -> tuple[int, str]:
        """Run a trusted program as root; returns its exit status and the beginning of its output. Closes `stdin`."""
        output = bytearray()
        (read, write), (nothing, _) = open_each(open_pipe, open_nothing)
        reader = PipeReader(read, lambda data: output.extend(data[: max(0, 4096 - len(output))]), self._flow)
        try:
            try:
                process = await sandbox.spawn(
                    Command(argv, "root"),
                    stdin=stdin if stdin >= 0 else nothing,
                    stdout=stdout if stdout >= 0 else write,
                    stderr=write,
                )
            finally:
                close_all(write, nothing, stdin)
            code = await process.wait()
            await settle([reader])
        finally:
            reader.close()
        return code, output.decode("utf-8", "replace").strip()

    async def run_to_file(self, sandbox: Sandbox, argv: tuple[str, ...], file: Path) -> tuple[int, str]:
        """Run a trusted program with its output in a file on this machine.

        The size is limited here: a sparse file inside takes no disk space there, but its archive may be huge.
        """
        (read, write), (over, ended) = open_each(open_small_pipe, os.pipe)
        limits = ArchiveLimits(self._disk_bytes)
        try:
            saving = asyncio.get_running_loop().run_in_executor(None, save, read, over, file, limits)
        except BaseException:
            close_all(read, write, over, ended)
            raise
        try:
            found = await self.run_trusted(sandbox, argv, stdout=write)
        finally:
            close_all(write, ended)
            await saving
        return found

    async def unpack(self, sandbox: Sandbox, target: str, archive: Archive | None, copy_request: CopyRequest) -> None:
        """Send files through a pipe to tar inside the sandbox, where links cannot lead out of it."""
        read, write = os.pipe()
        argv = ("/bin/sh", "-c", _UNPACK, "sh", target, _KEEP_EXISTING if self._has_root else "")
        unpacking = asyncio.create_task(self.run_trusted(sandbox, argv, stdin=read))
        try:
            await asyncio.to_thread(_send, archive, copy_request, os.fdopen(write, "wb"))
        finally:
            code, output = await unpacking
        if code:
            raise failure(output or f"tar ended with exit status {code}", output)


def _send(archive: Archive | None, copy_request: CopyRequest, sink: IO[bytes]) -> None:
    try:
        with sink:
            if archive is None:
                send_documents_only(copy_request, sink)
            else:
                archive.send(copy_request, sink)
    except BrokenPipeError:
        return  # tar has ended, and its exit status and output tell why
