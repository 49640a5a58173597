"""The fork server is started before anything else of the service, and ends with it, however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runloop_local import fork_server
from runloop_local.fork_server import ForkServer
from tests.local.processes import alive
from tests.waiting import until

pytestmark = pytest.mark.service

LEFT_BEHIND = """
import os, subprocess, sys
from runloop_local.sandbox import linux, processes
linux.become_subreaper()
subprocess.run([sys.executable, "-m", "runloop_local", "serve", *sys.argv[1:]])
print(processes.children(os.getpid()))
"""
START_AND_DIE = """
import os
from runloop_local.fork_server import ForkServer
print(ForkServer().process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
UNUSABLE = {
    "folder": ["--data-dir", "/dev/null"],
    "limit": ["--keep", "logs=much"],
    "address": ["--host", "192.0.2.1"],
}


def test_it_imports_little_as_each_devbox_has_a_copy_of_it() -> None:
    imports = fork_server._BOOTSTRAP.replace("zygote.main(int(sys.argv[2]))", "print(*sys.modules)")
    argv = [sys.executable, "-IS", "-c", imports, str(fork_server._PACKAGE)]
    loaded = {*subprocess.check_output(argv, text=True).split()}
    assert "runloop_local.sandbox.zygote" in loaded
    assert loaded & {"asyncio", "dataclasses", "inspect", "msgspec", "subprocess"} == set()


def test_one_that_is_told_nothing_ends_with_its_block() -> None:
    with ForkServer() as server:
        assert not server.has_ended()
    assert server.process.returncode == 0


async def test_one_that_is_told_nothing_ends_with_a_service_that_is_killed() -> None:
    run = subprocess.run([sys.executable, "-c", START_AND_DIE], capture_output=True, text=True, check=False)  # noqa: ASYNC221 - one look
    pid = int(run.stdout)
    await until(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what was left behind")
@pytest.mark.parametrize("why", UNUSABLE)
def test_a_start_that_fails_leaves_no_process(why: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", LEFT_BEHIND, "--data-dir", str(tmp_path), *UNUSABLE[why]]
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
    assert run.stderr.startswith("runloop-local: ")
    assert run.stderr.count("\n") == 1
