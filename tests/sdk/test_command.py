"""Commands on the real embedded service."""

import asyncio
import uuid
from typing import Any

import pytest

from runloop_sdk import (
    APIStatusError,
    AsyncDevbox,
    AsyncRunloopSDK,
    ConfigurationError,
    NotFoundError,
    PollingConfig,
    PollingTimeoutError,
)
from runloop_sdk._ids import uuid7


async def count_processes(devbox: AsyncDevbox, marker: str) -> int:
    result = await devbox.cmd.exec(f"pgrep -fc '[{marker[0]}]{marker[1:]}'")
    return int(await result.stdout())


async def wait_until_running(devbox: AsyncDevbox, marker: str) -> None:
    result = await devbox.cmd.exec(f"until pgrep -f '[{marker[0]}]{marker[1:]}'; do sleep 0.02; done")
    assert result.success


async def test_result_has_exit_code_and_output(devbox: AsyncDevbox) -> None:
    result = await devbox.cmd.exec("echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.success, result.failed) == (3, False, True)
    assert (await result.stdout(), await result.stderr()) == ("out\n", "err\n")
    assert result.devbox_id == devbox.id
    assert result.execution_id in repr(result)


async def test_seed_form_with_keyword_works(devbox: AsyncDevbox) -> None:
    result = await devbox.cmd.exec(command="echo 'hello'")
    assert await result.stdout() == "hello\n"


async def test_long_output_is_whole_though_the_answer_is_cut(devbox: AsyncDevbox) -> None:
    result = await devbox.cmd.exec("seq 5000")
    assert await result.stdout() == "".join(f"{n}\n" for n in range(1, 5001))
    assert await result.stdout(num_lines=2) == "4999\n5000"
    assert await result.stdout(num_lines=0) == ""


async def test_callbacks_get_all_output_plain_or_async(devbox: AsyncDevbox) -> None:
    out: list[str] = []
    err: list[str] = []
    both: list[str] = []

    async def on_err(text: str) -> None:
        await asyncio.sleep(0)
        err.append(text)

    async def on_both(text: str) -> None:
        both.append(text)
        await devbox.file.write(file_path=text.strip(), contents="")  # the command goes on once this line is here

    line = "echo {0}$n{1}; until [ -e {0}$n ]; do sleep 0.01; done; "
    command = f"for n in 1 2 3; do {line.format('out', '')}{line.format('err', ' >&2')}done"
    result = await devbox.cmd.exec(command, stdout=out.append, stderr=on_err, output=on_both)
    assert result.success
    assert "".join(out) == "out1\nout2\nout3\n"
    assert "".join(err) == "err1\nerr2\nerr3\n"
    assert "".join(both) == "out1\nerr1\nout2\nerr2\nout3\nerr3\n"


async def test_failing_callback_raises_to_the_caller_and_kills_the_command(devbox: AsyncDevbox) -> None:
    def refuse(text: str) -> None:
        raise LookupError(text)

    with pytest.raises(LookupError, match="begun"):
        await devbox.cmd.exec("echo begun; exec sleep 1001", stdout=refuse)
    assert await count_processes(devbox, "sleep 1001") == 0


async def test_execution_can_be_walked_while_it_runs(devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("echo a; echo b >&2; echo c")
    chunks = [chunk async for chunk in execution]
    assert "".join(c.text for c in chunks if c.stream == "stdout") == "a\nc\n"
    assert "".join(c.text for c in chunks if c.stream == "stderr") == "b\n"
    assert (await execution.result()).exit_code == 0
    assert (await execution.get_state()).status == "completed"


async def test_execution_is_found_again_by_its_id(devbox: AsyncDevbox) -> None:
    started = await devbox.cmd.exec_async("echo early; sleep 0.1; echo late")
    again = devbox.execution(started.execution_id)
    assert "".join([chunk.text async for chunk in again]) == "early\nlate\n"
    assert (await again.result()).success


async def test_kill_ends_the_command_with_its_signal(devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("sleep 1002 & exec sleep 1002")
    await wait_until_running(devbox, "sleep 1002")
    await execution.kill()
    assert (await execution.result()).exit_code in (128 + 9, 128 + 15)
    assert await count_processes(devbox, "sleep 1002") == 0


@pytest.mark.parametrize("callbacks", [{}, {"stdout": lambda _: None}], ids=["one request", "streaming"])
async def test_cancelled_exec_kills_the_command(devbox: AsyncDevbox, callbacks: dict[str, Any]) -> None:
    task = asyncio.create_task(devbox.cmd.exec("exec sleep 1003", **callbacks))
    await wait_until_running(devbox, "sleep 1003")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count_processes(devbox, "sleep 1003") == 0


@pytest.mark.parametrize("callbacks", [{}, {"stdout": lambda _: None}], ids=["one request", "streaming"])
async def test_exec_cancelled_at_any_moment_of_its_start_leaves_nothing(
    devbox: AsyncDevbox, callbacks: dict[str, Any]
) -> None:
    for delay in (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008):
        task = asyncio.create_task(devbox.cmd.exec("exec sleep 1004", **callbacks))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await count_processes(devbox, "sleep 1004") == 0


@pytest.mark.parametrize("callbacks", [{}, {"stdout": lambda _: None}], ids=["one request", "streaming"])
async def test_deadline_of_the_caller_kills_the_command(devbox: AsyncDevbox, callbacks: dict[str, Any]) -> None:
    with pytest.raises(PollingTimeoutError):
        await devbox.cmd.exec("exec sleep 1005", polling_config=PollingConfig(timeout_seconds=0.3), **callbacks)
    assert await count_processes(devbox, "sleep 1005") == 0


@pytest.mark.parametrize("callbacks", [{}, {"stdout": lambda _: None}], ids=["one request", "streaming"])
async def test_command_that_is_refused_raises_why_and_nothing_else(
    sdk: AsyncRunloopSDK, callbacks: dict[str, Any]
) -> None:
    with pytest.raises(NotFoundError, match="dbx_none") as caught:
        await sdk.devbox.from_id("dbx_none").cmd.exec("true", **callbacks)
    assert caught.value.path == "/v1/devboxes/dbx_none/execute"
    assert not hasattr(caught.value, "__notes__")


async def test_standard_input_reaches_the_command(devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("sort", attach_stdin=True)
    await execution.send_stdin("b\n")
    await execution.send_std_in("a\n")
    await execution.close_std_in()
    result = await execution.result()
    assert await result.stdout() == "a\nb\n"


async def test_stdin_without_being_attached_is_refused(devbox: AsyncDevbox) -> None:
    execution = await devbox.cmd.exec_async("sleep 5")
    with pytest.raises(APIStatusError):
        await execution.send_stdin("x")
    await execution.kill()


async def test_named_shell_keeps_directory_and_environment(devbox: AsyncDevbox) -> None:
    await devbox.cmd.exec("cd /tmp; export GREETING=hello", shell_name="one")
    result = await devbox.cmd.exec('echo "$PWD $GREETING"', shell_name="one")
    assert await result.stdout() == "/tmp hello\n"
    other = await devbox.cmd.exec('echo "$PWD $GREETING"', shell_name="two")
    assert await other.stdout() == "/home/user \n"


async def test_utf8_cut_by_slow_writes_arrives_whole(devbox: AsyncDevbox) -> None:
    command = r"printf '\xe8'; sleep 0.05; printf '\x97'; sleep 0.05; printf '\x8d!'"
    seen: list[str] = []
    await devbox.cmd.exec(command, stdout=seen.append)
    assert "".join(seen) == "藍!"


async def test_many_commands_at_once_keep_their_output_apart(devbox: AsyncDevbox) -> None:
    async def echo(n: int) -> str:
        return await (await devbox.cmd.exec(f"echo {n}", stdout=lambda _: None)).stdout()

    assert await asyncio.gather(*(echo(n) for n in range(30))) == [f"{n}\n" for n in range(30)]


def test_command_ids_are_uuids_of_version_7_in_order() -> None:
    ids = [uuid.UUID(uuid7()) for _ in range(100)]
    assert {(u.version, u.variant) for u in ids} == {(7, uuid.RFC_4122)}
    assert [u.int >> 80 for u in ids] == sorted(u.int >> 80 for u in ids)


async def test_portable_shell_keeps_directory_and_environment_across_clients(
    devbox: AsyncDevbox, sdk: AsyncRunloopSDK
) -> None:
    shell = devbox.shell("work")
    assert (await shell.exec("cd /tmp; export GREETING='two\nlines'; exit 7")).exit_code == 7
    again = sdk.devbox.from_id(devbox.id).shell("work")
    result = await again.exec('echo "$PWD $GREETING"')
    assert await result.stdout() == "/tmp two\nlines\n"
    assert await (await devbox.shell("other").exec('echo "$PWD $GREETING"')).stdout() == "/home/user \n"


async def test_a_portable_shell_without_a_name_is_a_new_one(devbox: AsyncDevbox) -> None:
    one, other = devbox.shell(), devbox.shell()
    assert one.name != other.name
    await one.exec("cd /tmp")
    assert await (await devbox.shell(shell_name=one.name).exec("pwd")).stdout() == "/tmp\n"
    assert await (await other.exec("pwd")).stdout() == "/home/user\n"


async def test_commands_of_a_portable_shell_wait_for_each_other(devbox: AsyncDevbox) -> None:
    shell = devbox.shell("queue")
    started = await shell.exec_async("sleep 0.2; echo first >> log")
    await shell.exec("echo second >> log")
    assert await devbox.file.read(file_path="log") == "first\nsecond\n"
    assert (await started.result()).success


@pytest.mark.parametrize("name", ["", "a/b", "..; rm", "x" * 65])
def test_name_that_is_none_for_a_shell_is_refused(sdk: AsyncRunloopSDK, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name for a shell"):
        sdk.devbox.from_id("any").shell(name)


@pytest.mark.parametrize("callbacks", [{}, {"stdout": lambda _: None}], ids=["one request", "streaming"])
async def test_cancelled_exec_lets_the_command_go_on_when_told_so(
    devbox: AsyncDevbox, callbacks: dict[str, Any]
) -> None:
    task = asyncio.create_task(devbox.cmd.exec("echo begun; exec sleep 1006", kill_on_cancel=False, **callbacks))
    await wait_until_running(devbox, "sleep 1006")
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert await count_processes(devbox, "sleep 1006") == 1
    (note,) = caught.value.__notes__
    execution = devbox.execution(note.split("'")[1])
    await execution.kill()
    result = await execution.result()
    assert (result.exit_code, await result.stdout()) == (137, "begun\n")
