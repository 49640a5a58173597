from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from runloop_local.sandbox import Command, Sandbox, SandboxEnded, SandboxError, egress
from runloop_local.sandbox.base import Process
from tests.waiting import PATIENCE, until

from .conftest import MakeSandbox, every_way, marker, namespaces_only, output, processes_with, run

pytestmark = pytest.mark.asyncio(loop_scope="session")


@every_way
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("true", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
    ],
)
async def test_exit_status_is_the_programs_or_128_and_its_signal(sandbox: Sandbox, command: str, status: int) -> None:
    assert (await run(sandbox, command)).status == status


@every_way
@pytest.mark.parametrize(
    ("argv", "cwd", "status", "complaint"),
    [
        (("no-such-program",), None, 127, "no-such-program: No such file or directory\n"),
        (("/etc/passwd",), None, 126, "/etc/passwd: Permission denied\n"),
        (("true",), "/no/such/folder", 127, "/no/such/folder: No such file or directory\n"),
    ],
    ids=["program", "not-executable", "cwd"],
)
async def test_what_cannot_start_says_why_on_stderr(
    sandbox: Sandbox, argv: tuple[str, ...], cwd: str | None, status: int, complaint: str
) -> None:
    result = await run(sandbox, argv, cwd=cwd)
    assert (result.status, result.out, result.err) == (status, "", complaint)


@every_way
async def test_the_three_descriptors_are_the_ones_that_were_passed(sandbox: Sandbox) -> None:
    result = await run(sandbox, "cat; echo problem >&2", stdin="given ünïcode")
    assert (result.out, result.err) == ("given ünïcode", "problem\n")


@every_way
async def test_cwd_and_environment_are_as_asked(sandbox: Sandbox) -> None:
    folder = sandbox.path("/home/user/some where")
    await output(sandbox, "mkdir 'some where'")
    env = {"GREETING": "hello  'world'\n", "PATH": "/bin:/usr/bin"}
    result = await run(sandbox, 'pwd; printf %s "$GREETING:$PATH"', cwd=folder, env=env)
    assert result.out == f"{folder}\nhello  'world'\n:/bin:/usr/bin"


@every_way
async def test_nothing_of_the_services_environment_is_inherited(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNLOOP_API_KEY", "a secret")
    found = dict(line.partition("=")[::2] for line in (await output(sandbox, "env")).splitlines())
    names = {name for name in found if egress.ENVIRONMENT.get(name) != found[name]}
    assert names - {"PWD", "SHLVL", "_"} <= {"HOME", "USER", "LOGNAME", "PATH", "LANG", "SHELL", "TMPDIR"}


@every_way
async def test_no_descriptor_but_the_three_is_inherited(sandbox: Sandbox) -> None:
    assert await output(sandbox, "ls /proc/$$/fd") == "0\n1\n2"


@every_way
async def test_home_is_where_commands_start_and_file_paths_lead(sandbox: Sandbox) -> None:
    assert await output(sandbox, 'test "$PWD" = "$HOME" && echo "$HOME"') == sandbox.path("/home/user")
    await output(sandbox, "echo text > file.txt")
    assert await output(sandbox, f"cat '{sandbox.path('/home/user/file.txt')}'") == "text"
    assert sandbox.path("/etc/passwd") == "/etc/passwd"


@every_way
async def test_large_arguments_and_environments_arrive_whole(sandbox: Sandbox) -> None:
    env = {f"NAME_{number}": "x" * 100_000 for number in range(8)}
    result = await run(sandbox, ("sh", "-c", 'printf %s "$1$NAME_7" | wc -c', "sh", "y" * 120_000), env=env)
    assert (result.status, result.out.strip()) == (0, "220000")


@every_way
async def test_many_commands_at_once_each_get_their_own_status(sandbox: Sandbox) -> None:
    results = await asyncio.gather(*(run(sandbox, f"echo {number}; exit {number}") for number in range(100)))
    assert [(result.status, result.out) for result in results] == [(n, f"{n}\n") for n in range(100)]


@every_way
async def test_a_background_child_that_holds_stdout_does_not_hold_up_the_end(sandbox: Sandbox) -> None:
    time = marker()
    result = await run(sandbox, f"sleep {time} & echo started")
    assert (result.status, result.out) == (0, "started\n")
    await until(lambda: processes_with(time))  # a process between fork and exec has no command line
    await sandbox.stop()
    assert not processes_with(time)


@every_way
@pytest.mark.parametrize(
    "escape",
    [
        "sleep {0} &",
        "setsid sleep {0} &",
        "(setsid sleep {0} &) &",
        "(trap '' TERM HUP INT; nohup setsid sh -c 'sleep {0}; :' &)",
    ],
    ids=["background", "session", "double-fork", "ignored-signals"],
)
async def test_stop_ends_what_a_command_left_behind(sandbox: Sandbox, escape: str) -> None:
    time = marker()
    await output(sandbox, escape.format(time))
    await until(lambda: processes_with(time))
    await sandbox.stop()
    assert not processes_with(time)


async def start(sandbox: Sandbox, command: str) -> Process:
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return await sandbox.spawn(Command(("sh", "-c", command)), stdin=null, stdout=null, stderr=null)
    finally:
        os.close(null)


@every_way
async def test_a_signal_reaches_the_program_and_with_group_its_children(sandbox: Sandbox) -> None:
    time = marker()
    process = await start(sandbox, f"sleep {time}; exit 9")
    await until(lambda: len(processes_with(f"sleep\0{time}")) == 1)
    await process.signal(signal.SIGTERM)
    assert await process.wait() == 143
    assert processes_with(f"sleep\0{time}")

    both = await start(sandbox, f"sleep 1{time}; exit 9")
    await until(lambda: processes_with(f"sleep\0001{time}"))
    await both.signal(signal.SIGKILL, group=True)
    assert await both.wait() == 137
    await until(lambda: not processes_with(f"sleep\0001{time}"))


@every_way
async def test_a_signal_right_after_spawn_is_not_lost(sandbox: Sandbox) -> None:
    processes = [await start(sandbox, f"sleep {marker()}") for _ in range(20)]
    for process in processes:
        await process.signal(signal.SIGKILL, group=True)
    assert await asyncio.gather(*(process.wait() for process in processes)) == [137] * 20


@every_way
async def test_a_program_that_has_ended_is_left_alone_by_signals(sandbox: Sandbox) -> None:
    process = await start(sandbox, "exit 4")
    assert await process.wait() == 4
    await process.signal(signal.SIGKILL, group=True)
    assert await process.wait() == 4


@every_way
async def test_stopping_ends_waiting_programs_as_killed(sandbox: Sandbox) -> None:
    process = await start(sandbox, "sleep 1000")
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    await sandbox.stop()
    assert await asyncio.wait_for(waiting, PATIENCE) == 137
    assert await process.wait() == 137
    await process.signal(signal.SIGTERM)


@every_way
async def test_a_stopped_sandbox_says_that_it_is_not_running(sandbox: Sandbox) -> None:
    await sandbox.stop()
    with pytest.raises(SandboxEnded, match=f"{sandbox.id} is not running"):
        await start(sandbox, "true")
    with pytest.raises(SandboxEnded):
        await sandbox.dial(80)


@every_way
async def test_a_cancelled_wait_can_be_asked_again(sandbox: Sandbox) -> None:
    process = await start(sandbox, "read x; exit 5")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for((await start(sandbox, "sleep 1000")).wait(), 0.01)
    assert await process.wait() == 5


LISTEN = (
    "import socket; s = socket.create_server(('127.0.0.1', {port})); print(flush=True);"
    "c = s.accept()[0]; c.sendall(b'pong ' + c.recv(100))"
)


@every_way
async def test_dial_reaches_a_port_inside(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:  # plain processes have this machine's ports
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    listen = ("python3", "-c", LISTEN.format(port=port))
    process = await sandbox.spawn(Command(listen), stdin=null, stdout=writer, stderr=null)
    os.close(writer)
    os.close(null)
    assert await asyncio.to_thread(os.read, reader, 1)
    os.close(reader)
    sock = await sandbox.dial(port)
    with sock:
        assert sock.getblocking() is False
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"ping")
        assert await loop.sock_recv(sock, 100) == b"pong ping"
    assert await process.wait() == 0
    with pytest.raises(SandboxError, match="refused"):
        await sandbox.dial(port)


@namespaces_only
async def test_each_sandbox_has_all_ports_to_itself(make: MakeSandbox, way: str) -> None:
    sandboxes = [await make(), await make()] if way != "none" else [await make()]
    port = 80 if way != "none" else 45_123
    commands = [
        run(
            s,
            ("python3", "-c", f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(0.2)"),
        )
        for s in sandboxes
    ]
    assert [result.status for result in await asyncio.gather(*commands)] == [0] * len(sandboxes)


TRACED = """
import ctypes, os, signal
signal.signal(signal.SIGUSR1, lambda *_: print("signalled", flush=True))
assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0  # PTRACE_TRACEME
os.kill(os.getpid(), signal.SIGUSR1)
os.execvp("sh", ("sh", "-c", "echo executed"))
"""


@every_way
async def test_a_program_that_asks_to_be_traced_is_let_go(sandbox: Sandbox) -> None:
    assert await output(sandbox, f"exec python3 -c '{TRACED}'") == "signalled\nexecuted"
    assert await output(sandbox, "echo more") == "more"
