"""The key of a service: given without anybody else seeing it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.waiting import PATIENCE

pytestmark = pytest.mark.service

KEY = "secret-key-of-the-test"
SERVE = (sys.executable, "-m", "runloop_local", "serve", "--isolation", "process")


@contextmanager
def started(folder: Path, *options: str, **environment: str) -> Iterator[tuple[int, str]]:
    """A service's process id and address."""
    env = {**{name: value for name, value in os.environ.items() if "RUNLOOP" not in name}, **environment}
    command = [*SERVE, "--data-dir", str(folder / "data"), *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), (folder / "log").read_text()
        yield process.pid, line.split()[1]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def key_file(folder: Path, content: str = f"{KEY}\n") -> str:
    file = folder / "key"
    file.write_text(content)
    return str(file)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system shows what it was started with")
@pytest.mark.parametrize("way", ["file", "variable", "option", "option with ="])
def test_the_key_is_taken_and_not_shown(way: str, tmp_path: Path) -> None:
    options = {
        "file": ("--api-key-file", key_file(tmp_path)),
        "option": ("--api-key", KEY),
        "option with =": (f"--api-key={KEY}",),
    }.get(way, ())
    environment = {"RUNLOOP_LOCAL_API_KEY": KEY} if way == "variable" else {}
    with started(tmp_path, *options, **environment) as (pid, url):
        asked = httpx.get(f"{url}/v1/accounts/me", headers={"Authorization": f"Bearer {KEY}"})
        assert asked.status_code == 200
        family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for each in family:
            for shown in ("cmdline", "environ"):
                assert KEY.encode() not in Path(f"/proc/{each}/{shown}").read_bytes()
    said = (tmp_path / "log").read_text()
    assert KEY not in said
    assert ("use --api-key-file" in said) == way.startswith("option")


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    with started(tmp_path, "--api-key-file", key_file(tmp_path), RUNLOOP_LOCAL_API_KEY="other") as (_, url):
        for key, status in ((KEY, 200), ("other", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            assert httpx.get(f"{url}/v1/accounts/me", headers=headers).status_code == status


@pytest.mark.parametrize("content", ["", "\n", "two words", "a\nb", "clé", "\0", "x" * 5000, "\x1b[31m"])
def test_what_is_no_key_is_one_sentence(content: str, tmp_path: Path) -> None:
    command = [*SERVE, "--data-dir", str(tmp_path / "data"), "--api-key-file", key_file(tmp_path, content)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "is not an API key" in result.stderr


def test_a_variable_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    command = [*SERVE, "--data-dir", str(tmp_path / "data")]
    env = {**os.environb, b"RUNLOOP_LOCAL_API_KEY": b"cl\xff"}
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "is not an API key" in result.stderr


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    command = [*SERVE, "--data-dir", str(tmp_path / "data"), "--api-key-file", str(tmp_path / "none")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "cannot be read" in result.stderr
