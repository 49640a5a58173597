"""The start of the user's own service: one at a time, waited for as long as was asked, and used when it comes late."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runloop_local import service, service_folder
from tests.local.slow_machine import SlowMachine
from tests.waiting import until

pytestmark = pytest.mark.service

STARTER = "import asyncio; from runloop_local import service; print(asyncio.run(service.ensure_running()).pid)"


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(folder))
    yield folder
    await service.stop()


@pytest.fixture
async def slow(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlowMachine]:
    machine = SlowMachine(tmp_path)
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    yield machine
    machine.open()


def put(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runloop_local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_a_late_service_is_told_and_used_by_the_next_one_who_asks(slow: SlowMachine) -> None:
    for _ in range(2):
        with pytest.raises(service.ServiceError, match=r"within 0\.3 s, but is still starting.*START_TIMEOUT"):
            await service.ensure_running(0.3)
    slow.open()
    endpoint = await service.ensure_running()
    assert service.find() == endpoint
    assert len(slow.starts) == 1


async def test_a_wait_that_is_stopped_ends_at_once_and_leaves_the_service_to_the_next(slow: SlowMachine) -> None:
    waiting = asyncio.create_task(service.ensure_running())
    await until(lambda: slow.starts)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (service.find(), service.is_starting()) == (None, True)
    slow.open()
    assert (await service.ensure_running()).base_url
    assert len(slow.starts) == 1


async def test_a_starter_that_is_killed_leaves_the_service_to_the_others(slow: SlowMachine) -> None:
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER, start_new_session=True)
    await until(lambda: slow.starts)
    waiting = asyncio.create_task(service.ensure_running())
    os.killpg(starter.pid, signal.SIGKILL)
    await starter.wait()
    slow.open()
    endpoint = await waiting
    assert len(slow.starts) == 1
    assert run("status").returncode == 0
    assert endpoint.pid


async def test_kernels_that_start_it_together_start_it_once_also_where_some_give_up(slow: SlowMachine) -> None:
    program = STARTER.replace("ensure_running()", "ensure_running({})")
    patient = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program.format(""), stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    hasty = [asyncio.create_task(service.ensure_running(0.05)) for _ in range(4)]
    assert all(isinstance(each, service.ServiceError) for each in await asyncio.gather(*hasty, return_exceptions=True))
    slow.open()
    pids = {int((await process.communicate())[0]) for process in patient}
    found = await service.ensure_running()
    assert pids == {found.pid}
    assert len(slow.starts) == 1


async def test_a_service_that_hangs_can_be_seen_and_ended(slow: SlowMachine) -> None:
    with pytest.raises(service.ServiceError, match="runloop-local stop"):
        await service.ensure_running(0.3)
    shown = run("status")
    assert (shown.returncode, "it is starting" in shown.stderr) == (1, True)
    assert run("stop").stdout == "stopped\n"
    assert not service.is_starting()
    slow.open()
    assert (await service.ensure_running()).pid not in slow.starts[:1]


async def test_a_service_that_is_killed_while_it_starts_is_started_again_by_who_waits(slow: SlowMachine) -> None:
    waits = [asyncio.create_task(service.ensure_running()) for _ in range(3)]
    await until(lambda: slow.starts)
    os.kill(slow.starts[0], signal.SIGKILL)
    await until(lambda: len(slow.starts) == 2)
    slow.open()
    found = await asyncio.gather(*waits, return_exceptions=True)
    assert len({each.pid for each in found if isinstance(each, service_folder.Endpoint)}) == 1
    errors = [str(each) for each in found if not isinstance(each, service_folder.Endpoint)]
    assert all("could not be started" in each for each in errors)  # of whoever had started the first
    assert len(errors) <= 1


async def test_a_start_that_fails_says_why_to_everyone(home: Path) -> None:
    put(home / "data", b"in the way")
    waits = [service.ensure_running() for _ in range(3)]
    for error in await asyncio.gather(*waits, return_exceptions=True):
        assert isinstance(error, service.ServiceError)
        assert "could not be started" in str(error)
        assert "data folder" in str(error)
        assert "Traceback" not in str(error)


async def test_a_service_that_was_killed_is_never_taken_for_the_one_that_is_starting(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await service.ensure_running()
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: service.find() is None)
    slow = SlowMachine(tmp_path)
    for name, value in slow.env.items():
        monkeypatch.setenv(name, value)
    waiting = asyncio.create_task(service.ensure_running())
    await until(lambda: slow.starts)
    assert (service.find(), service.is_starting()) == (None, True)
    slow.open()
    assert (await waiting).base_url != ""


async def test_a_service_that_ends_is_waited_for_and_started_anew(home: Path) -> None:
    first = await service.ensure_running()
    os.kill(first.pid, signal.SIGSTOP)
    service_folder.withdraw()  # as it does while it ends its devboxes
    waiting = asyncio.create_task(service.ensure_running())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    os.kill(first.pid, signal.SIGKILL)
    assert (await waiting).pid != first.pid


async def test_a_relative_home_is_the_same_folder_for_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_folder._resolved.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", "state")
    (tmp_path / "elsewhere").mkdir()
    try:
        endpoint = await service.ensure_running()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert service.find() == endpoint
        assert (tmp_path / "state" / "service.json").exists()
    finally:
        await service.stop()
        service_folder._resolved.cache_clear()


@pytest.mark.parametrize(("text", "seconds"), [("", 60), (" 120 ", 120), ("0.5", 0.5), ("1e3", 1000), ("inf", None)])
def test_the_limit_is_what_the_environment_says(
    text: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_START_TIMEOUT", text)
    assert service.start_limit() == (seconds or float("inf"))


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "60s", "1,5"])
async def test_a_limit_that_is_none_is_one_sentence(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_START_TIMEOUT", text)
    with pytest.raises(service.ServiceError, match=r"START_TIMEOUT is .* not a number of seconds"):
        await service.ensure_running()
    assert files(home.parent) == []


async def test_the_limit_of_the_environment_counts(slow: SlowMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_START_TIMEOUT", "0.2")
    began = time.monotonic()
    with pytest.raises(service.ServiceError, match=r"within 0\.2 s"):
        await service.ensure_running()
    assert time.monotonic() - began >= 0.2


UNUSABLE = {
    "absent": "/proc/none/here",
    "below a file": "{}/file/home",
    "a file": "{}/file",
    "no such account": "~nobody-of-this-name/home",
}


@pytest.mark.parametrize("place", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_home_that_cannot_be_used_names_the_variable_that_moves_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", place.format(tmp_path))
    with pytest.raises(service.ServiceError, match="Set RUNLOOP_LOCAL_HOME to a folder of your own") as error:
        await service.ensure_running()
    assert "\n" not in str(error.value)
    for command in ("status", "env", "stop", "serve"):
        assert "Traceback" not in run(command).stderr


LEAVINGS = {"empty": b"", "torn": b"{", "a list": b"[]", "a part": b'{"pid": 1}', "no text": b"\xff"}


@pytest.mark.parametrize("content", LEAVINGS.values(), ids=LEAVINGS)
async def test_the_leavings_of_another_version_do_not_keep_it_from_its_start(home: Path, content: bytes) -> None:
    put(home / "service.json", content)
    put(home / "service.lock", b"nonsense")
    assert service.find() is None
    assert (await service.ensure_running()).base_url


async def test_a_running_service_whose_state_is_damaged_is_named_and_can_be_ended(home: Path) -> None:
    await service.ensure_running()
    (home / "service.json").write_text("{")
    with pytest.raises(service.ServiceError, match=r"service\.json cannot be read.*runloop-local stop"):
        service.find()
    assert run("stop").stdout == "stopped\n"


async def test_a_later_versions_state_is_understood(home: Path) -> None:
    endpoint = await service.ensure_running()
    state = (home / "service.json").read_text()
    (home / "service.json").write_text(state.replace("{", '{"new_field": 1, ', 1))
    assert service.find() == endpoint


async def test_the_services_log_and_lock_say_who_it_is(home: Path) -> None:
    endpoint = await service.ensure_running()
    assert int((home / "service.lock").read_text()) == endpoint.pid
    assert (home / "service.log").read_text() == ""
