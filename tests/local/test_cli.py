"""The command line, and the user's own service."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runloop_local import service
from tests.local.serving import isolation_of, serving
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.service


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runloop_local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)


def shell(script: str) -> str:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(folder))
    monkeypatch.setenv("RUNLOOP_LOCAL_START_TIMEOUT", str(PATIENCE))
    yield folder
    await service.stop()


def put(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in (folder, *folder.iterdir())}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_service_is_started_once_however_many_ask(home: Path) -> None:
    code = "import asyncio; from runloop_local import service; print(asyncio.run(service.ensure_running()).pid)"
    here = [service.ensure_running() for _ in range(3)]
    elsewhere = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE) for _ in range(2)
    ]
    found = await asyncio.gather(*here)
    pids = {endpoint.pid for endpoint in found}
    for process in elsewhere:
        output, _ = await process.communicate()
        pids.add(int(output))
    assert len(pids) == 1
    assert service.find() == found[0]


async def test_state_is_for_the_owner_alone(home: Path) -> None:
    endpoint = await service.ensure_running()
    assert modes(home) == {0o700, 0o600}
    assert endpoint.api_key == read(home / "service.json")["api_key"]
    assert endpoint.api_key not in repr(endpoint)
    assert endpoint.isolation


async def test_status_env_and_stop_act_on_it(home: Path) -> None:
    endpoint = await service.ensure_running()
    shown = run("status").stdout
    assert endpoint.base_url in shown
    assert str(endpoint.pid) in shown
    assert endpoint.isolation in shown
    assert endpoint.api_key not in shown
    exports = run("env").stdout
    assert shell(f"{exports}\necho $RUNLOOP_BASE_URL $RUNLOOP_API_KEY").split() == [endpoint.base_url, endpoint.api_key]
    assert run("stop").stdout == "stopped\n"
    assert service.find() is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(endpoint.base_url.rpartition(":")[2])))
    assert run("stop").stdout == "not running\n"
    for command in ("status", "env"):
        result = run(command)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == "runloop-local: Your service is not running: start it with runloop-local serve.\n"


async def test_it_outlives_the_process_that_started_it(home: Path) -> None:
    code = """if True:
        import asyncio, os, signal
        from runloop_local import service
        asyncio.run(service.ensure_running())
        os.killpg(0, signal.SIGKILL)
    """
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", code, start_new_session=True)
    assert await starter.wait() == -signal.SIGKILL
    endpoint = service.find()
    assert endpoint is not None
    assert is_alive(endpoint.pid)
    assert run("status").returncode == 0


async def test_it_inherits_no_descriptor(home: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    await service.ensure_running()
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)


async def test_modules_in_the_notebooks_folder_are_not_taken_for_the_standard_library(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "secrets.py", "raise SystemExit('wrong module')")
    monkeypatch.chdir(tmp_path)
    assert (await service.ensure_running()).base_url


async def test_a_stale_state_file_is_replaced(home: Path) -> None:
    first = await service.ensure_running()
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: service.find() is None, "its end")
    assert read(home / "service.json")["pid"] == first.pid
    second = await service.ensure_running()
    assert second.pid != first.pid


async def test_a_second_serve_says_that_there_is_one(home: Path) -> None:
    await service.ensure_running()
    result = run("serve")
    assert (result.returncode, result.stdout) == (1, "")
    assert "is already running" in result.stderr
    assert result.stderr.count("\n") == 1


async def test_a_service_by_itself_does_not_touch_the_users(home: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "other"):
        assert service.find() is None
        mine = await service.ensure_running()
    assert service.find() == mine


async def test_a_failing_start_says_why(home: Path) -> None:
    put(home / "data", "in the way")
    with pytest.raises(service.ServiceError, match=r"could not be started.*data folder") as error:
        await service.ensure_running()
    assert "Traceback" not in str(error.value)


async def test_a_home_that_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "file", "")
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(service.ServiceError, match="cannot be used: Not a directory"):
        await service.ensure_running()


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port, "--data-dir", str(tmp_path / "d"))
    assert (result.returncode, result.stdout) == (1, "")
    assert port in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("data_dir", ["/proc/nope", "/dev/null"])
def test_an_unusable_data_folder_is_one_sentence(data_dir: str) -> None:
    result = run("serve", "--data-dir", data_dir)
    assert (result.returncode, result.stdout) == (1, "")
    assert data_dir in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_data_folder_in_use_is_one_sentence(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        result = run("serve", "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 1
    assert "already uses" in result.stderr
    assert result.stderr.count("\n") == 1


def test_damaged_records_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "service.db").write_bytes(b"not a database" * 100)
    result = run("serve", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert "damaged" in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_room_for_records_is_one_sentence(tmp_path: Path) -> None:
    command = ["prlimit", "--fsize=2000", sys.executable, "-m", "runloop_local", "serve", "--data-dir", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("runloop-local: ")
    assert result.stderr.count("\n") == 1


def test_an_unused_service_stops_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--idle-timeout", "2") as running:
        start = time.monotonic()
        assert isolation_of(running.base_url, running.api_key) == running.isolation
        assert running.process.wait(PATIENCE) == 0
        assert time.monotonic() - start > 1.9


def test_a_signal_stops_it_with_status_0(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(PATIENCE) == 0
    assert (tmp_path / "data.log").read_text() == ""


def test_service_is_cheap_to_import() -> None:
    code = "import sys, runloop_local.service; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "starlette", "uvicorn", "httpx", "pydantic", "platformdirs", "subprocess"} & set(modules)


@pytest.mark.parametrize(("command", "code"), [("stop", 128 + signal.SIGPIPE), ("--help", 0)])
def test_output_that_nobody_reads_ends_it_without_a_word(command: str, code: int) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        program = [sys.executable, "-m", "runloop_local", command]
        ran = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (code, "")
