"""No test, and nothing that a test starts, writes where the account that runs the tests keeps its own."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from runloop_jupyter import state
from runloop_local import service_folder
from tests.jupyter import kernels

PLACES = "from runloop_jupyter import state\nfrom runloop_local import service_folder\n"
ACCOUNT = Path(pwd.getpwuid(os.getuid()).pw_dir)
seen: set[Path] = set()


def places() -> list[Path]:
    return [state.home(), service_folder.home()]


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_folders_of_its_own(tmp_path_factory: pytest.TempPathFactory, time: int) -> None:
    for place in places():
        assert place.is_relative_to(tmp_path_factory.getbasetemp())
        assert not place.is_relative_to(ACCOUNT / ".local")
    assert not seen.intersection(places())
    seen.update(places())


def test_a_kernel_and_a_program_have_those_of_the_test_that_starts_them() -> None:
    with kernels.start() as kernel:
        kernel.run(PLACES).check()
        assert kernel.value("[str(state.home()), str(service_folder.home())]") == [str(place) for place in places()]
    program = f"{PLACES}print(state.home(), service_folder.home(), sep='\\n', end='')"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split("\n") == [str(place) for place in places()]


@pytest.fixture(scope="module")
def early() -> list[Path]:
    """What a fixture that outlives a test uses."""
    return places()


def test_what_outlives_a_test_has_folders_of_the_run(
    early: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert all(place.is_relative_to(tmp_path_factory.getbasetemp()) for place in early)
    assert not set(early).intersection(places())
