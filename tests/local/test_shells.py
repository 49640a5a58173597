"""Named shells: what lasts from command to command."""

import asyncio
import random

import pytest

from runloop_local.engine.devbox.shell import Marks
from tests.local.api import Api


async def test_a_shell_keeps_folder_variables_functions_and_status(api: Api, devbox: str) -> None:
    await api.execute(devbox, "mkdir -p sub; cd sub; export A=1; B=2; f() { echo f $1; }; false", shell_name="s")
    result = await api.execute(devbox, "echo $? $A $B ${PWD##*/}; f x", shell_name="s")
    assert result["stdout"] == "1 1 2 sub\nf x\n"
    other = await api.execute(devbox, "echo [$A$B]", shell_name="other")
    assert other["stdout"] == "[]\n"


async def test_a_shell_s_streams_can_be_opened_by_their_names(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, "echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin", shell_name="s")
    assert (result["exit_status"], result["stdout"], result["stderr"]) == (0, "out\n", "err\n")


async def test_commands_of_one_shell_run_one_after_the_other(api: Api, devbox: str) -> None:
    commands = [f"echo start {n}; sleep 0.05; echo end {n}" for n in range(5)]
    started = [await api.start(devbox, f"({command}) | tee -a all", shell_name="s") for command in commands]
    await asyncio.gather(*(api.finish(execution) for execution in started))
    result = await api.execute(devbox, "cat all")
    assert result["stdout"] == "".join(f"start {n}\nend {n}\n" for n in range(5))


@pytest.mark.parametrize(
    ("command", "status"),
    [("exit 7", 7), ("exec sh -c 'exit 8'", 8), ("kill -KILL $$", 137), ("set -e; false", 1)],
)
async def test_a_command_may_end_the_shell_and_the_folder_stays(
    api: Api, devbox: str, command: str, status: int
) -> None:
    await api.execute(devbox, "mkdir -p there; cd there; X=1", shell_name="s")
    result = await api.execute(devbox, f"echo bye; {command}", shell_name="s")
    assert (result["exit_status"], result["stdout"]) == (status, "bye\n")
    result = await api.execute(devbox, "echo ${PWD##*/} [$X]", shell_name="s")
    assert (result["exit_status"], result["stdout"]) == (0, "there []\n")


@pytest.mark.parametrize(
    ("command", "stdout"),
    [
        ("echo a; if then", "a\n"),
        ("printf no-newline", "no-newline"),
        ("printf '\\036half a mark'", "\x1ehalf a mark"),
        ("cat", ""),
        ('echo "it\'s"', "it's\n"),
        ("exec >/dev/null; echo lost", ""),
        ("trap - EXIT; echo x", "x\n"),
        ("# only a comment", ""),
        ("cat <<E\nheredoc\nE", "heredoc\n"),
    ],
)
async def test_no_command_can_lose_the_shell(api: Api, devbox: str, command: str, stdout: str) -> None:
    result = await api.execute(devbox, command, shell_name="s")
    assert result["stdout"] in (stdout, "")
    assert result["status"] == "completed"
    after = await api.execute(devbox, "echo alive >&2", shell_name="s")
    assert (after["exit_status"], after["stderr"]) == (0, "alive\n")


async def test_tracing_shows_the_users_commands_only(api: Api, devbox: str) -> None:
    await api.execute(devbox, "set -x", shell_name="s")
    result = await api.execute(devbox, "echo a", shell_name="s")
    assert result["stdout"] == "a\n"
    assert "++ echo a\n" in result["stderr"]
    assert "mark" not in result["stderr"]


async def test_a_killed_command_leaves_a_usable_shell(api: Api, devbox: str) -> None:
    running = await api.start(devbox, "echo up; sleep 1000", shell_name="s")
    waiting = await api.start(devbox, "echo never", shell_name="s")
    async for _ in api.follow(running):
        break
    await api.json(f"{waiting}/kill", {})
    assert (await api.finish(waiting))["stdout"] == ""
    await api.json(f"{running}/kill", {"kill_process_group": True})
    assert (await api.finish(running))["exit_status"] == 137
    assert (await api.execute(devbox, "echo again", shell_name="s"))["stdout"] == "again\n"


async def test_background_output_between_commands_is_dropped(api: Api, devbox: str) -> None:
    await api.execute(devbox, "(sleep 0.1; echo late; touch written) &", shell_name="s")
    await api.execute(devbox, "until [ -e written ]; do sleep 0.02; done")
    assert (await api.execute(devbox, "echo next", shell_name="s"))["stdout"] == "next\n"


async def test_shells_end_with_the_devbox_and_start_anew(api: Api, devbox: str) -> None:
    await api.execute(devbox, "X=1", shell_name="s")
    await api.json(f"/v1/devboxes/{devbox}/suspend", {})
    await api.wait(devbox, "suspended")
    await api.json(f"/v1/devboxes/{devbox}/resume", {})
    await api.wait(devbox, "running")
    assert (await api.execute(devbox, "echo [$X]", shell_name="s"))["stdout"] == "[]\n"


async def test_a_shell_takes_no_input(api: Api, devbox: str) -> None:
    body = {"command": "cat", "shell_name": "s", "attach_stdin": True}
    await api.json(f"/v1/devboxes/{devbox}/execute_async", body, status=400)


async def test_a_command_of_a_megabyte(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, f"x={'a' * 1_000_000}; echo ${{#x}}", shell_name="s")
    assert result["stdout"] == "1000000\n"


@pytest.mark.parametrize("seed", range(20))
def test_marks_are_found_however_reads_fall(seed: int) -> None:
    chance = random.Random(seed)
    data = b"out\x1e\x1esec" + b"\x1esecret " * 0 + b"put\x1esecret 3 /home\x1elate"
    marks, output, found = Marks(b"secret"), b"", None
    while data and found is None:
        size = chance.randint(1, 6)
        piece, found = marks.feed(data[:size])
        output, data = output + piece, data[size:]
    assert (output, found) == (b"out\x1e\x1esecput", b"3 /home")


def test_a_mark_without_an_end_is_what_a_command_printed() -> None:
    """It may know the secret word: what is held back for a mark's sake has an end."""
    marks = Marks(b"secret")
    pieces = [b"a\x1esecret ", *[b"b" * 50_000] * 5, b"\x1esecret 3 /home\x1e"]
    found = [marks.feed(piece) for piece in pieces]
    assert max(len(printed) for printed, _ in found) < 200_000
    assert b"".join(printed for printed, _ in found) == b"a\x1esecret " + b"b" * 250_000
    assert found[-1][1] == b"3 /home"
