"""Commands on a terminal of their own."""

import asyncio
import os
import re
import signal

import pytest

from runloop_local.sandbox import Command, Process, Sandbox
from runloop_local.sandbox.terminal import resize
from tests.local.sandbox.conftest import every_way, namespaces_only
from tests.waiting import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Terminal:
    def __init__(self, process: Process, file: int) -> None:
        self.process = process
        self.file = file
        self.seen = ""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(file, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.file, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.file)
        self.seen += data.decode()
        self._news.set()

    async def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    async def sees(self, pattern: str) -> str:
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(pattern, self.seen)):
                self._news.clear()
                await self._news.wait()
            self.seen = self.seen[found.end() :]
            return found.group()

    async def end(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


async def opened(sandbox: Sandbox, *argv: str, rows: int = 24, cols: int = 80) -> Terminal:
    return Terminal(*await sandbox.spawn_on_terminal(Command(argv), rows=rows, cols=cols))


BASH = ("bash", "--norc", "--noprofile")
PROMPT = r"[$#] $"


@every_way
async def test_a_shell_has_job_control_and_the_size_asked_for(sandbox: Sandbox) -> None:
    shell = await opened(sandbox, *BASH, rows=33, cols=101)
    await shell.sees(PROMPT)
    await shell.type("stty size; set -o | grep monitor\n")
    await shell.sees(r"33 101\s+monitor\s+on")
    await shell.sees(PROMPT)
    resize(shell.file, 50, 132)
    await shell.type("stty size; exit 7\n")
    await shell.sees("50 132")
    assert await shell.end() == 7


@every_way
async def test_ctrl_c_ends_what_is_in_the_foreground_and_not_the_shell(sandbox: Sandbox) -> None:
    shell = await opened(sandbox, *BASH)
    await shell.sees(PROMPT)
    await shell.type("sh -c 'echo be\"\"gun; exec sleep 100'\n")  # said by what is in the foreground then
    await shell.sees("begun")
    await shell.type("\x03")
    await shell.sees(PROMPT)
    await shell.type("echo status $?\n")
    await shell.sees("status 130")
    await shell.process.signal(signal.SIGKILL)
    assert await shell.end() == 137


@namespaces_only
async def test_it_is_one_of_the_sandbox_s_own_terminals(sandbox: Sandbox) -> None:
    shell = await opened(sandbox, "sh", "-c", "tty; echo x > $(tty); stat -c '%U %a' $(tty); id -un")
    await shell.sees(r"/dev/pts/\d+\s+x\s+user 620\s+user")
    assert await shell.end() == 0


@every_way
async def test_what_cannot_start_is_said_on_the_terminal(sandbox: Sandbox) -> None:
    shell = await opened(sandbox, "no-such-program")
    await shell.sees("no-such-program: No such file or directory")
    assert await shell.end() == 127


@every_way
async def test_closing_the_other_end_hangs_up(sandbox: Sandbox) -> None:
    shell = await opened(sandbox, "sh", "-c", "trap 'exit 9' HUP; echo ready; while :; do sleep 0.02; done")
    await shell.sees("ready")
    asyncio.get_running_loop().remove_reader(shell.file)
    os.close(shell.file)
    assert await shell.end() == 9
