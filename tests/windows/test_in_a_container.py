"""On Windows a notebook starts the service in a container, finds it and ends it: tried as `test_on_windows.py` says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.podman import EngineHome, engine_home, needs_podman, podman
from tests.jupyter import kernels
from tests.jupyter.kernels import Kernel
from tests.waiting import PATIENCE, wait_until

pytestmark = needs_podman
ROOT = Path(__file__).parents[2]
AS_WINDOWS = [sys.executable, "-m", "tests.windows.as_windows"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHome]:
    with engine_home(podman(), tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture(scope="module")
def kernel(home: EngineHome) -> Iterator[Kernel]:
    # With `auto`, the engine that is there is used.
    env = {**home.env, "PYTHONPATH": str(ROOT), "RUNLOOP_LOCAL_ENGINE": "auto"}
    with kernels.start(env, cwd=str(home.folder), command=AS_WINDOWS) as started:
        started.run("%load_ext runloop_jupyter").check()
        yield started


def run(home: EngineHome, *arguments: str) -> str:
    env = {**os.environ, **home.env, "RUNLOOP_LOCAL_ENGINE": "auto"}
    ended = subprocess.run(
        [*AS_WINDOWS, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_first_cell_starts_it_and_a_command_runs_on_linux(kernel: Kernel, home: EngineHome) -> None:
    told = kernel.run("%devbox create --name main").check()
    assert "in a container of podman (isolation: namespaces)" in told.stdout
    assert kernel.run("%devbox exec uname").check().stdout == "Linux\n"
    assert f"podman, in the container {home.endpoint['container']}" in run(home, "status")


def test_a_second_start_says_that_there_is_one(kernel: Kernel, home: EngineHome) -> None:
    env = {**os.environ, **home.env}
    ended = subprocess.run([*AS_WINDOWS, "serve"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "already running" in ended.stderr


def test_a_killed_kernel_takes_its_devboxes_along(kernel: Kernel, home: EngineHome) -> None:
    os.kill(int(str(kernel.value("__import__('os').getpid()"))), signal.SIGKILL)
    wait_until(lambda: home.statuses()["main"] == "shutdown", "main to end with its kernel")


def test_stop_ends_the_container(home: EngineHome) -> None:
    name = home.endpoint["container"]
    assert run(home, "stop") == "stopped\n"
    assert name not in home.engine.call("ps", "--all", "--format", "{{.Names}}")
    assert run(home, "stop") == "not running\n"
