"""Commands over the wire."""

import asyncio
import uuid
from pathlib import Path

import pytest

from runloop_local.engine.devbox.history import KEPT
from runloop_local.routes.logs import MAX_STREAM_BYTES
from tests.local.api import Api, connect
from tests.local.serving import serving


@pytest.mark.parametrize(
    ("command", "status", "stdout", "stderr"),
    [
        ("echo hello", 0, "hello\n", ""),
        ("printf no-newline; echo err >&2; exit 42", 42, "no-newline", "err\n"),
        ("no-such-program", 127, "", None),
        ("kill -TERM $$", 143, "", ""),
        ("echo $'grün €'", 0, "grün €\n", ""),
        ('read line; echo "[$line]"', 0, "[]\n", ""),
        ("sleep 1000 & echo started", 0, "started\n", ""),
        ("(while :; do echo x; done) > /dev/null & echo loop", 0, "loop\n", ""),
        ("cat <<'X'\na 'b' \"c\" $d\nX", 0, "a 'b' \"c\" $d\n", ""),
        ("", 0, "", ""),
        ("echo out >/dev/stdout; echo err | tee /dev/stderr >/dev/null", 0, "out\n", "err\n"),
        ("cat /dev/stdin | wc -l", 0, "0\n", ""),
    ],
)
async def test_execute(api: Api, devbox: str, command: str, status: int, stdout: str, stderr: str | None) -> None:
    result = await api.execute(devbox, command)
    assert (result["status"], result["exit_status"], result["stdout"]) == ("completed", status, stdout)
    assert stderr is None or result["stderr"] == stderr
    assert (result["stdout_truncated"], result["stderr_truncated"]) == (False, False)


async def test_a_chatty_background_child_does_not_hold_the_end_back(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, "echo first; yes & sleep 0.01")
    assert result["status"] == "completed"  # and not "running", as what waits for `yes` is answered


async def test_only_the_last_lines_are_in_the_view(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, "seq 1000")
    assert result["stdout"] == "".join(f"{n}\n" for n in range(901, 1001))
    assert result["stdout_truncated"] is True
    result = await api.execute(devbox, "seq 1000", query="?last_n=2")
    assert result["stdout"] == "999\n1000\n"
    result = await api.execute(devbox, "seq 1000", last_n="2")
    assert result["stdout"] == "999\n1000\n"
    again = await api.json(f"/v1/devboxes/{devbox}/executions/{result['execution_id']}?last_n=1")
    assert again["stdout"] == "1000\n"


async def test_a_command_with_a_wrong_number_of_lines_is_not_run(api: Api, devbox: str) -> None:
    body = {"command": "touch ran", "command_id": str(uuid.uuid4())}
    refused = await api.json(f"/v1/devboxes/{devbox}/execute?last_n=many", body, status=400)
    assert "last_n must be a whole number" in refused["message"]
    assert (await api.execute(devbox, "ls"))["stdout"] == ""


async def test_a_long_command_is_answered_as_running_and_goes_on(api: Api, devbox: str) -> None:
    result = await api.execute(devbox, "until [ -e go ]; do sleep 0.02; done; echo done", optimistic_timeout=0)
    assert result["status"] in ("queued", "running")
    assert "stdout" not in result
    execution = f"/v1/devboxes/{devbox}/executions/{result['execution_id']}"
    body = {"statuses": ["completed"], "timeout_seconds": 0.1}
    await api.json(f"{execution}/wait_for_status", body, status=408)
    await api.execute(devbox, "touch go")
    assert (await api.finish(execution))["stdout"] == "done\n"


async def test_one_command_id_runs_once(api: Api, devbox: str) -> None:
    body = {"command": "echo x >> ran; sleep 0.2; cat ran", "command_id": str(uuid.uuid4())}
    results = await asyncio.gather(*(api.json(f"/v1/devboxes/{devbox}/execute", body) for _ in range(3)))
    results.append(await api.json(f"/v1/devboxes/{devbox}/execute", body))
    assert all(result == results[0] for result in results)
    assert results[0]["stdout"] == "x\n"
    await api.json(f"/v1/devboxes/{devbox}/execute", {**body, "command": "other"}, status=400)


async def test_a_retried_execute_async_runs_once(api: Api, devbox: str) -> None:
    headers = {"x-request-id": "retried"}
    body = {"command": "echo x >> ran2; cat ran2"}
    views = [await api.json(f"/v1/devboxes/{devbox}/execute_async", body, headers=headers) for _ in range(2)]
    assert views[0]["execution_id"] == views[1]["execution_id"]
    result = await api.finish(f"/v1/devboxes/{devbox}/executions/{views[0]['execution_id']}")
    assert result["stdout"] == "x\n"


async def test_execute_sync_answers_with_the_whole_output(api: Api, devbox: str) -> None:
    result = await api.json(f"/v1/devboxes/{devbox}/execute_sync", {"command": "seq 20000; exit 3"})
    assert result["stdout"] == "".join(f"{n}\n" for n in range(1, 20001))
    assert result["exit_status"] == 3


async def test_standard_input(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, 'read first; echo "got $first"; cat', attach_stdin=True)
    sent = await api.json(f"{execution}/send_std_in", {"text": "eins\nzwei ü\n"})
    assert sent["success"] is True
    await api.json(f"{execution}/send_std_in", {"text": "drei", "signal": "EOF"})
    assert (await api.finish(execution))["stdout"] == "got eins\nzwei ü\ndrei"
    assert (await api.json(f"{execution}/send_std_in", {"text": "late"}))["success"] is False


async def test_standard_input_can_be_opened_by_its_name(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "cat /dev/stdin", attach_stdin=True)
    await api.json(f"{execution}/send_std_in", {"text": "by name\n"})
    await api.json(f"{execution}/send_std_in", {"signal": "EOF"})
    result = await api.finish(execution)
    assert (result["exit_status"], result["stdout"], result["stderr"]) == (0, "by name\n", "")


async def test_retried_input_is_written_once(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "cat", attach_stdin=True)
    for _ in range(2):
        sent = await api.json(f"{execution}/send_std_in", {"text": "once\n"}, headers={"x-request-id": "same"})
        assert sent["success"] is True
    await api.json(f"{execution}/send_std_in", {"signal": "EOF"})
    assert (await api.finish(execution))["stdout"] == "once\n"


async def test_input_larger_than_a_pipe(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "sleep 0.1; wc -c", attach_stdin=True)
    await api.json(f"{execution}/send_std_in", {"text": "a" * 1_000_000})
    await api.json(f"{execution}/send_std_in", {"signal": "EOF"})
    assert (await api.finish(execution))["stdout"].strip() == "1000000"


async def test_input_to_a_command_without_it_is_a_400(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "sleep 1000")
    await api.json(f"{execution}/send_std_in", {"text": "x"}, status=400)
    await api.json(f"{execution}/send_std_in", {}, status=400)
    await api.json(f"{execution}/kill", {})


async def test_interrupt(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.02; done")
    async for _ in api.follow(execution):
        break
    await api.json(f"{execution}/send_std_in", {"signal": "INTERRUPT"})
    result = await api.finish(execution)
    assert (result["exit_status"], result["stdout"]) == (5, "ready\ncaught\n")


@pytest.mark.parametrize("group", [True, False])
async def test_kill_cannot_be_ignored(api: Api, devbox: str, group: bool) -> None:
    execution = await api.start(devbox, "trap '' TERM INT HUP; echo up; while :; do sleep 0.05; done")
    async for _ in api.follow(execution):
        break
    await api.json(f"{execution}/kill", {"kill_process_group": group})
    result = await api.finish(execution)
    assert (result["exit_status"], result["stdout"]) == (137, "up\n")
    await api.json(f"{execution}/kill", {})


async def test_killing_the_group_ends_the_children(api: Api, devbox: str) -> None:
    execution = await api.start(devbox, "sleep 4321 & echo up; wait")
    async for _ in api.follow(execution):
        break
    await api.json(f"{execution}/kill", {"kill_process_group": True})
    await api.finish(execution)
    assert (await api.execute(devbox, "pgrep -xf 'sleep 4321'"))["stdout"] == ""


async def test_one_command_id_runs_once_even_after_many_others(api: Api, devbox: str) -> None:
    body = {"command": "echo x >> ran-long-ago; cat ran-long-ago", "command_id": str(uuid.uuid4())}
    first = await api.post(f"/v1/devboxes/{devbox}/execute", json=body)
    for _ in range(KEPT + 1):  # those that are still in memory
        await api.post(f"/v1/devboxes/{devbox}/execute", json={"command": "true"})
    again = await api.post(f"/v1/devboxes/{devbox}/execute", json=body)
    assert (again.json()["stdout"], again.json()["exit_status"]) == ("x\n", 0)
    assert again.json()["execution_id"] == first.json()["execution_id"]
    other = await api.post(f"/v1/devboxes/{devbox}/execute", json={**body, "command": "echo another"})
    assert other.status_code == 400


@pytest.mark.parametrize("command_id", ["", "../x", "a/b", "x" * 129])
async def test_a_command_id_that_cannot_name_a_folder_is_a_400(api: Api, devbox: str, command_id: str) -> None:
    body = {"command": "true", "command_id": command_id}
    await api.json(f"/v1/devboxes/{devbox}/execute", body, status=400)


async def test_a_nul_character_is_a_400(api: Api, devbox: str) -> None:
    await api.json(f"/v1/devboxes/{devbox}/execute_async", {"command": "echo \0"}, status=400)


async def test_an_unknown_execution_is_a_404(api: Api, devbox: str) -> None:
    await api.json(f"/v1/devboxes/{devbox}/executions/nope", status=404)


async def test_logs_tell_what_ran(api: Api, devbox: str) -> None:
    first = await api.execute(devbox, "echo out; echo err >&2; exit 3")
    await api.execute(devbox, "echo second", shell_name="s")
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs?execution_id={first['execution_id']}"))["logs"]
    assert [(log["level"], log.get("cmd"), log.get("message"), log.get("exit_code")) for log in logs] == [
        ("info", "echo out; echo err >&2; exit 3", None, None),
        ("info", None, "out", None),
        ("error", None, "err", None),
        ("info", None, None, 3),
    ]
    everything = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert [log["cmd"] for log in everything if "cmd" in log] == ["echo out; echo err >&2; exit 3", "echo second"]
    of_shell = (await api.json(f"/v1/devboxes/{devbox}/logs?shell_name=s"))["logs"]
    assert [log["message"] for log in of_shell if "message" in log] == ["second"]


async def test_logs_have_the_end_of_a_line_that_is_too_long_for_them(api: Api, devbox: str) -> None:
    await api.execute(devbox, "head -c 3000000 /dev/zero | tr '\\0' x; printf end; echo error >&2")
    await api.execute(devbox, "seq -f %0200g 150 >&2")
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    first, error, *lines = [log["message"] for log in logs if "message" in log]
    assert (first, error) == ("x" * (MAX_STREAM_BYTES - 3) + "end", "error")
    assert lines == [f"{number:0200}" for number in range(51, 151)]


async def test_lines_of_logs_end_where_lines_end(api: Api, devbox: str) -> None:
    await api.execute(devbox, r"printf 'a\036b\013c\r\n\n1%%\r2%%\nd\302\205e'")
    logs = (await api.json(f"/v1/devboxes/{devbox}/logs"))["logs"]
    assert [log["message"] for log in logs if "message" in log] == ["a\x1eb\x0bc", "", "1%\r2%", "d\x85e"]


async def test_output_outlives_the_devbox(api: Api) -> None:
    devbox = await api.create()
    result = await api.execute(devbox, "seq 500")
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    execution = f"/v1/devboxes/{devbox}/executions/{result['execution_id']}"
    assert (await api.json(execution))["exit_status"] == 0
    assert "".join(frame["output"] for frame in await api.frames(execution)).count("\n") == 500


async def test_a_killed_devbox_ends_its_commands(api: Api) -> None:
    devbox = await api.create()
    execution = await api.start(devbox, "echo up; sleep 1000")
    stream = api.follow(execution)
    assert (await anext(stream))["output"] == "up\n"
    await api.json(f"/v1/devboxes/{devbox}/shutdown", {})
    assert [frame async for frame in stream] == []
    assert (await api.finish(execution))["exit_status"] == 137


async def test_a_kill_that_overtakes_the_start_of_its_command_is_heeded(api: Api) -> None:
    devbox = await api.create()
    late = str(uuid.uuid4())
    refused = await api.post(f"/v1/devboxes/{devbox}/executions/{late}/kill", json={})
    assert refused.status_code == 404
    started = await api.post(f"/v1/devboxes/{devbox}/execute", json={"command": "touch ran", "command_id": late})
    assert (started.status_code, late in started.text) == (400, True)
    assert (await api.execute(devbox, "test -e ran"))["exit_status"] == 1


LIBC_S = 3 << 31
"""Signals 32 and 33, which the C library keeps for itself and lets nobody change."""


@pytest.mark.parametrize("isolation", ["auto", "process"])
async def test_a_command_inherits_no_signals_from_how_the_service_was_started(tmp_path: Path, isolation: str) -> None:
    """As `nohup` ignores SIGHUP: commands would outlive their terminal."""
    before = ("env", "--ignore-signal=HUP,INT,QUIT,PIPE,TERM,USR1,WINCH", "--block-signal=USR2,CONT")
    with serving(tmp_path / "data", "--isolation", isolation, before=before) as service:
        async with connect(service) as api:
            devbox = await api.create()
            found = await api.execute(devbox, "grep -E 'Sig(Blk|Ign)' /proc/self/status")
            signals = [int(line.split()[1], 16) for line in found["stdout"].splitlines()]
            assert [mask & ~LIBC_S for mask in signals] == [0, 0]
        service.kill()
