"""`runloop-local status` and `prune`, limits from the environment, and the service's own log."""

import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from runloop_local import service
from runloop_local.service_log import BoundedHandler
from tests.waiting import PATIENCE

pytestmark = pytest.mark.service


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runloop_local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNLOOP_LOCAL_HOME", str(folder))
    yield folder
    await service.stop()


async def test_status_shows_room_and_prune_frees_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_KEEP", "logs=2GB/12h cache=1h")
    endpoint = await service.ensure_running()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx.AsyncClient(base_url=endpoint.base_url, headers=headers, timeout=PATIENCE) as api:
        devbox = (await api.post("/v1/devboxes/create_and_await_running", json={})).json()["id"]
        await api.post(f"/v1/devboxes/{devbox}/execute_sync", json={"command": "head -c 500000 /dev/zero"})
        await api.post(f"/v1/devboxes/{devbox}/shutdown", json={})
    shown = run("status").stdout
    lines = {words[0]: " ".join(words[1:]) for line in shown.splitlines() if (words := line.split())}
    assert lines["logs"] == "512 KB (at most 2 GB, 12 hours)"
    assert lines["records"].endswith("(at most 200 MB, 3 days)")
    assert lines["builds"] == "0 B (at most 100 MB, 30 days)"
    assert lines["cache"] == "0 B (at most 10 GB, 60 minutes)"
    assert run("prune", "--older-than", "1h").stdout.split("\n")[0].split() == ["logs", "0", "B", "freed"]
    freed = run("prune").stdout
    assert [line.split() for line in freed.splitlines()] == [
        ["logs", "512", "KB", "freed"],
        ["builds", "0", "B", "freed"],
        ["cache", "0", "B", "freed"],
    ]
    assert not any((home / "data" / "logs").iterdir())
    assert run("prune", "records").stdout.startswith("records  ")
    assert [line.split()[0] for line in run("prune", "--all").stdout.splitlines()] == [
        "logs", "records", "builds", "cache", "images",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("prune", "log"), "'log' is not a kind of kept data: there are logs, records, builds, cache, images."),
        (("prune", "--older-than", "1y"), "--older-than: '1y' is neither a size like 500MB"),
        (("serve", "--keep", "logs"), "--keep: 'logs' is not a limit: write it like logs=2GB/3d"),
    ],
    ids=["kind", "time", "limit"],
)
def test_what_cannot_be_meant_is_one_sentence(home: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"runloop-local: {said}")
    assert result.stderr.count("\n") == 1


async def test_a_limit_in_the_environment_that_is_none_is_said_by_the_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNLOOP_LOCAL_KEEP", "logs=lots")
    with pytest.raises(service.ServiceError, match=r"RUNLOOP_LOCAL_KEEP: 'lots' is neither a size"):
        await service.ensure_running()


@pytest.mark.parametrize("command", ["status", "prune"])
def test_help_says_what_is_kept_and_how_that_is_set(command: str) -> None:
    text = run(command, "--help").stdout
    assert "RUNLOOP_LOCAL_KEEP" in text
    for kind in ("logs", "records", "builds", "cache"):
        assert f"\n  {kind} " in text


def test_the_log_of_a_service_keeps_its_newest_lines(tmp_path: Path) -> None:
    file = tmp_path / "service.log"
    program = """if True:
        import logging, sys
        from pathlib import Path
        from runloop_local import service_log
        service_log.keep_bounded(Path(sys.argv[1]), 10_000)
        for number in range(1000):
            logging.getLogger("x").warning("line %d", number)
            if number % 100 == 0:
                print("from elsewhere", number, file=sys.stderr, flush=True)
    """
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as log:
        subprocess.run([sys.executable, "-c", program, str(file)], stderr=log, check=True, timeout=PATIENCE)
    text = file.read_text()
    lines = text.splitlines()
    assert len(text) <= 10_000
    assert "\0" not in text
    assert lines[0] == "(Older lines have been cut.)"
    assert lines[-1].endswith("WARNING line 999")
    assert "from elsewhere 900" in lines
    numbers = [int(line.rpartition(" ")[2]) for line in lines if "WARNING" in line]
    assert numbers == list(range(numbers[0], 1000))


def test_a_log_that_is_gone_is_no_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handler = BoundedHandler(tmp_path / "gone")
    handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "said", None, None))
    assert "WARNING said" in capfd.readouterr().err
