"""Agents come when a sandbox is asked for something, and leave when it is not; what runs in it cannot reach them."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runloop_local.sandbox import Sandbox, SandboxError, User
from runloop_local.sandbox.base import Limits
from runloop_local.sandbox.namespaces import NamespacesIsolation
from runloop_local.sandbox.processes import children
from tests.waiting import PATIENCE, until

from .conftest import NAMESPACES, driver_named, marker, namespaces_only, output, processes_with, run
from .test_commands import start

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NAMESPACES, reason="this machine allows no namespaces"),
]

LIMITS = Limits(memory_bytes=1 << 30, cpus=1, disk_bytes=1 << 30, processes=100)
Agents = Callable[[], set[int]]
"""The agents that there are."""


@asynccontextmanager
async def opened(way: str, folder: Path, rest_seconds: float) -> AsyncIterator[NamespacesIsolation]:
    isolation = NamespacesIsolation(folder, driver_named(way), rest_seconds=rest_seconds)
    isolation.prepare()
    try:
        yield isolation
    finally:
        await isolation.aclose()


def helper_of(isolation: NamespacesIsolation) -> int:
    server = isolation._helper._server
    assert server
    return server.process.pid


async def started(isolation: NamespacesIsolation, name: str = "box") -> tuple[Sandbox, int, Agents]:
    """A sandbox, its PID 1, and its agents."""
    sandbox = await isolation.create(name)
    before = {*children(helper_of(isolation))} if isolation._helper._server else set()
    await sandbox.start()
    found = {pid for pid in {*children(helper_of(isolation))} - before if first_of_namespace(pid)}
    [first] = found
    others = {*children(helper_of(isolation))} - found

    def agents() -> set[int]:
        return {pid for pid in {*children(helper_of(isolation))} - others if not first_of_namespace(pid)}

    return sandbox, first, agents


def first_of_namespace(pid: int) -> bool:
    """True for the PID 1 of a PID namespace."""
    return numbers_of(pid)[1:] == ["1"]


def numbers_of(pid: int) -> list[str]:
    """The numbers of a process, in this PID namespace and those below; none if it has ended."""
    try:
        found = re.search(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found[1].split() if found else []


async def none_of(agents: Agents) -> None:
    await until(lambda: not agents(), "the agent to have left")


@namespaces_only
@pytest.mark.parametrize("user", ["user", "root"])
async def test_nothing_in_a_sandbox_sees_or_ends_the_agent(way: str, tmp_path: Path, user: User) -> None:
    async with opened(way, tmp_path, 30) as isolation:
        sandbox, first, agents = await started(isolation)
        time = marker()
        running = await start(sandbox, f"sleep {time}")
        await until(lambda: processes_with(f"sleep\0{time}"))
        [agent] = agents()
        assert numbers_of(agent) == [f"{agent}"]
        seen = await output(sandbox, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c runloop[-]local", user=user)
        assert seen == "1"  # PID 1 itself
        assert await output(sandbox, "echo $PPID; cat /proc/$$/stat | cut -d' ' -f4", user=user) == "0\n0"
        for target in (agent, helper_of(isolation), os.getpid()):
            assert (await run(sandbox, f"kill -9 {target}", user=user)).status != 0
        result = await run(sandbox, "kill -9 -1; kill -9 1; echo still here", user=user)
        assert result.out == "still here\n"
        assert await asyncio.wait_for(running.wait(), PATIENCE) == 137
        assert agents() == {agent}
        assert first_of_namespace(first)
        assert await output(sandbox, "echo more", user=user) == "more"


@namespaces_only
async def test_a_sandbox_that_does_nothing_has_one_small_process(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 0.05) as isolation:
        all_of_them = [await started(isolation, f"box-{number}") for number in range(12)]
        for sandbox, _, agents in all_of_them:
            assert await output(sandbox, "echo used") == "used"
            await none_of(agents)
        firsts = [first for _, first, _ in all_of_them]
        await until(lambda: not any(children(first) for first in firsts))
        if os.getuid():  # what memory it has can be seen by root alone
            return
        with sleeping_shells() as shells:
            limit = 2 * sum(map(pss_kb, shells)) / len(shells)
        shared = 10_000 / len(firsts)  # what all have in common, which counts less the more there are
        assert sum(map(pss_kb, firsts)) / len(firsts) < limit + shared


class sleeping_shells:  # noqa: N801 - a context manager
    def __enter__(self) -> list[int]:
        argv = ["/bin/bash", "-c", "echo; read"]
        pipe = subprocess.PIPE
        self._shells = [subprocess.Popen(argv, stdin=pipe, stdout=pipe) for _ in range(12)]
        for shell in self._shells:
            assert shell.stdout
            shell.stdout.readline()
        return [shell.pid for shell in self._shells]

    def __exit__(self, *_: object) -> None:
        for shell in self._shells:
            shell.kill()
            shell.communicate()


def pss_kb(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


@namespaces_only
@pytest.mark.parametrize("rest_seconds", [0.0, 0.001, 0.01])
async def test_what_is_asked_while_an_agent_leaves_is_answered(way: str, tmp_path: Path, rest_seconds: float) -> None:
    async with opened(way, tmp_path, rest_seconds) as isolation:
        sandbox, _, agents = await started(isolation)
        seen = set()
        for number in range(40):
            assert await output(sandbox, f"echo {number}") == f"{number}"
            seen |= agents()
            await asyncio.sleep(rest_seconds * secrets.randbelow(200) / 100)
        many = await asyncio.gather(*(output(sandbox, f"echo {number}; sleep 0.0{number % 3}") for number in range(40)))
        assert many == [f"{number}" for number in range(40)]
        await none_of(agents)
        assert len(seen) != 1


@namespaces_only
async def test_what_runs_on_is_counted_paused_and_kept_without_an_agent(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 0.05) as isolation:
        sandbox, first, agents = await started(isolation)
        time = marker()
        await output(sandbox, f"echo one > file; setsid sleep {time} >/dev/null 2>&1 &")
        await none_of(agents)
        assert len(processes_with(f"sleep\0{time}")) == 1
        assert (await sandbox.load()).processes == 1
        layers = await sandbox.snapshot("one")
        await none_of(agents)
        [daemon] = processes_with(f"sleep\0{time}")
        assert state_of(daemon) == "S"
        other = await isolation.create("other", layers=layers)
        await other.start()
        assert await output(other, "cat file") == "one"
        os.kill(daemon, signal.SIGKILL)
        await until(lambda: not children(first), "PID 1 to have reaped what was left to it")


@namespaces_only
async def test_the_processes_of_commands_are_counted_with_and_without_an_agent(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 0.5) as isolation:
        sandbox = await isolation.create("box")
        sandbox.limit(LIMITS)
        await sandbox.start()
        await until(lambda: not any(children(pid) for pid in children(helper_of(isolation))))
        assert (await sandbox.load()).processes == 0
        process = await start(sandbox, "exec sleep 1000")
        await until(once_has_one(sandbox))
        await process.signal(signal.SIGKILL)
        await process.wait()
        await output(sandbox, "setsid sleep 1000 >/dev/null 2>&1 &")
        assert (await sandbox.load()).processes == 1
        await asyncio.sleep(1)
        assert (await sandbox.load()).processes == 1


def once_has_one(sandbox: Sandbox) -> Callable[[], Awaitable[bool]]:
    async def has_one() -> bool:
        return (await sandbox.load()).processes == 1

    return has_one


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@namespaces_only
async def test_a_sandbox_is_frozen_stopped_and_started_again_without_an_agent(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 0.05) as isolation:
        sandbox, _, agents = await started(isolation)
        ended = asyncio.create_task(sandbox.ended())
        await output(sandbox, "echo one > file")
        await none_of(agents)
        await sandbox.snapshot("one")
        assert await output(sandbox, "cat file") == "one"
        assert not ended.done()
        await asyncio.sleep(0.2)
        await sandbox.stop()
        assert not ended.done()
        ended.cancel()
        await sandbox.start()
        assert await output(sandbox, "cat file") == "one"


@namespaces_only
@pytest.mark.parametrize("has_agent", [True, False])
async def test_a_sandbox_ends_with_its_pid_1(way: str, tmp_path: Path, has_agent: bool) -> None:
    async with opened(way, tmp_path, 30 if has_agent else 0.05) as isolation:
        sandbox, first, agents = await started(isolation)
        ended = asyncio.create_task(sandbox.ended())
        time = marker()
        await output(sandbox, f"setsid sleep {time} >/dev/null 2>&1 &")
        process = await start(sandbox, f"sleep 1{time}") if has_agent else None
        if not has_agent:
            await none_of(agents)
        os.kill(first, signal.SIGKILL)
        await asyncio.wait_for(ended, PATIENCE)
        if process is not None:
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 137
        await none_of(agents)
        assert not processes_with(time)
        await sandbox.start()
        assert await output(sandbox, "echo again") == "again"


@namespaces_only
async def test_the_process_that_forks_pid_1s_is_replaced_with_the_helper(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 30) as isolation:
        sandbox, first, _ = await started(isolation)
        helper = helper_of(isolation)
        [forks] = [pid for pid in children(helper) if pid != first and not first_of_namespace(pid)]
        os.kill(forks, signal.SIGKILL)
        other = await isolation.create("other")
        with pytest.raises(SandboxError):
            await other.start()
        await other.start()
        await sandbox.start()
        assert [await output(each, "echo back") for each in (sandbox, other)] == ["back", "back"]
        assert helper_of(isolation) != helper


_ENDS_TOO_EARLY = """
import os, signal, socket
from runloop_local.sandbox import first_process, linux

def build(first, helper):
    socket.socket(fileno=helper).recv(1)  # until the helper has ended
    first_process.settle(first, [])
    os._exit(0)

firsts = first_process.FirstProcesses(build)
ours, theirs = socket.socketpair()
print(firsts.fork(linux.NEW_PIDS, [], [theirs.fileno()]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs a PID namespace without a user namespace")
async def test_pid_1_ends_with_a_helper_that_was_killed_before_pid_1_was_ready() -> None:
    argv = (sys.executable, "-c", _ENDS_TOO_EARLY)
    helper = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert helper.stdout
    first = int(await helper.stdout.readline())
    await until(lambda: not first_of_namespace(first), "PID 1 to have ended")


@namespaces_only
async def test_all_processes_are_paused_where_no_more_can_be_started(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 0.05) as isolation:
        if not isolation._helper.groups.has("pids"):
            pytest.skip("an rlimit counts the processes of an account, not of a sandbox")
        sandbox = await isolation.create("box")
        sandbox.limit(LIMITS._replace(processes=20))
        await sandbox.start()
        time = marker()
        await run(sandbox, f"while :; do setsid sleep {time} & done >/dev/null 2>&1")
        await start(sandbox, f"exec sleep {time}")  # in place of the shell
        with pytest.raises(SandboxError, match="no more processes"):
            await run(sandbox, "true")

        def sleeping() -> list[int]:
            return [pid for pid in processes_with(f"sleep\0{time}") if state_of(pid) == "S"]

        await until(lambda: len(sleeping()) > 10)
        paused = sleeping()
        copying = asyncio.create_task(sandbox.snapshot("one"))
        seen = set()
        while not copying.done():
            seen.add("".join({state_of(pid) for pid in paused}))
            await asyncio.sleep(0)
        await copying
        assert "T" in seen
        await until(lambda: {*paused} <= {*sleeping()})


STOP_ALL = """exec python3 -c '
import os, signal, time
end = time.time() + 2
while time.time() < end:
    try:
        os.kill(-1, signal.SIGSTOP)
    except ProcessLookupError:
        pass
'"""


@namespaces_only
async def test_a_program_that_stops_all_others_does_not_stop_the_agent(way: str, tmp_path: Path) -> None:
    """Not even as one of them is being started, for which the agent waits."""
    async with opened(way, tmp_path, 30) as isolation:
        sandbox, _, agents = await started(isolation)
        stopping = await start(sandbox, STOP_ALL)
        done, commands = asyncio.ensure_future(stopping.wait()), []
        while not done.done():
            commands.append(await start(sandbox, "true"))
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(done, PATIENCE) == 0
        await asyncio.wait_for(run(sandbox, "kill -CONT -1", user="root"), PATIENCE)
        assert {await asyncio.wait_for(command.wait(), PATIENCE) for command in commands} == {0}
        assert len(agents()) == 1


@namespaces_only
@pytest.mark.parametrize(("user", "uid"), [("user", 1000), ("root", 0)])
async def test_a_command_has_no_more_rights_than_its_account(way: str, tmp_path: Path, user: User, uid: int) -> None:
    async with opened(way, tmp_path, 30) as isolation:
        sandbox, *_ = await started(isolation)
        for _ in range(2):  # the agent is as it was before
            status = await output(sandbox, "cat /proc/self/status /proc/self/limits", user=user)
            assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.MULTILINE)
            assert re.search(rf"^Gid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.MULTILINE)
            assert re.search(r"^Max core file size\s+0\s+0 ", status, re.MULTILINE)
            assert re.search(r"^Max processes\s+8192\s+8192 ", status, re.MULTILINE)
            for kind in ("Inh", "Amb") if user == "root" else ("Inh", "Prm", "Eff", "Amb"):
                assert re.search(rf"^Cap{kind}:\t0+$", status, re.MULTILINE)
            assert re.search(r"^SigBlk:\t0+$", status, re.MULTILINE)


@namespaces_only
async def test_an_agent_that_has_acted_as_an_account_ends_with_the_helper(way: str, tmp_path: Path) -> None:
    async with opened(way, tmp_path, 30) as isolation:
        sandbox, _, agents = await started(isolation)
        assert await output(sandbox, "echo one") == "one"
        [agent] = agents()
        os.kill(helper_of(isolation), signal.SIGKILL)
        await until(lambda: not numbers_of(agent), "the agent to have ended")
