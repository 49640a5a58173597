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


class Programs:
    """Runs programs in the sandboxes of one build."""

    def __init__(self, log: BuildLog, flow: Flow, disk_bytes: int) -> None:
        self._log = log
        self._flow = flow
        self._disk_bytes = disk_bytes

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
        code, output = await self._run_as_root(sandbox, Command(("/bin/sh", "-c", script, "sh", *arguments), "root"))
        if code:
            raise failure(output or f"exit status {code}", output)

    async def tool(self, sandbox: Sandbox, *argv: str) -> str:
        """Run a tool of the sandbox as root; returns its answer, or raises `SandboxError` with it if it fails."""
        code, output = await self.try_tool(sandbox, *argv)
        if code:
            raise failure(output or f"exit status {code}", output)
        return output

    async def try_tool(self, sandbox: Sandbox, *argv: str, stdin: int = -1, stdout: int = -1) -> tuple[int, str]:
        """Run a tool as root; returns its exit status and the beginning of its answer. Closes `stdin`."""
        return await self._run_as_root(sandbox, Command(argv, "root", is_tool=True), stdin=stdin, stdout=stdout)

    async def _run_as_root(
        self, sandbox: Sandbox, command: Command, *, stdin: int = -1, stdout: int = -1
    ) -> tuple[int, str]:
        output = bytearray()
        (read, write), (nothing, _) = open_each(open_pipe, open_nothing)
        reader = PipeReader(read, lambda data: output.extend(data[: max(0, 4096 - len(output))]), self._flow)
        try:
            try:
                process = await sandbox.spawn(
                    command,
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

    async def pack(self, sandbox: Sandbox, paths: list[str], file: Path) -> None:
        """Pack these paths, relative to the root, into an archive on this machine.

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
            code, output = await self.try_tool(sandbox, "pack", *paths, stdout=write)
        finally:
            close_all(write, ended)
            await saving
        if code:
            raise failure(output or f"exit status {code}", output)

    async def unpack(self, sandbox: Sandbox, target: str, archive: Archive | None, copy_request: CopyRequest) -> None:
        """Send files through a pipe into the sandbox, where links cannot lead out of it."""
        read, write = os.pipe()
        unpacking = asyncio.create_task(self.try_tool(sandbox, "unpack", target, stdin=read))
        try:
            await asyncio.to_thread(_send, archive, copy_request, os.fdopen(write, "wb"))
        finally:
            code, output = await unpacking
        if code:
            raise failure(output or f"exit status {code}", output)


def _send(archive: Archive | None, copy_request: CopyRequest, sink: IO[bytes]) -> None:
    try:
        with sink:
            if archive is None:
                send_documents_only(copy_request, sink)
            else:
                archive.send(copy_request, sink)
    except BrokenPipeError:
        return  # it has ended, and its exit status and output tell why
