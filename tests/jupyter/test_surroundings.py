"""Kernels where nothing can be kept: every command does what it does elsewhere, and one sentence says what is lost."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter import kernels
from tests.jupyter.kernels import Cell, Kernel, fails
from tests.local.serving import Service
from tests.own_state import open_to_all

CHECKOUT = Path(__file__).parents[2]
LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
LOAD = "%load_ext runloop_jupyter\n"
CELLS = (
    LOAD + "box = %devbox create one",
    "%devbox exec echo hello",
    "%devbox create two",
    "%devbox use one",
    "%devbox list",
    "job = %devbox exec --bg echo begun; sleep 1000",
    "%runloop executions",
    "found = %runloop executions\nlen(found), found[0].id == job.execution_id",
    "%devbox attach --bg {{job.execution_id}}",
    "job.kill(); job.wait().exit_code",
    "%devbox shutdown two",
    "%runloop cleanup --dry-run",
    "%runloop cleanup --yes",
)


@pytest.fixture
def env(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of a kernel at the tests' service. What the kernel of any account needs is in open folders."""
    open_to_all(tmp_path)
    runtime = Path(tempfile.mkdtemp(prefix="kernels-"))
    runtime.chmod(0o777)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    yield {
        "RUNLOOP_API_KEY": service.api_key,
        "RUNLOOP_BASE_URL": service.base_url,
        "RUNLOOP_JUPYTER_HOME": "",
        "XDG_STATE_HOME": "",
        "IPYTHONDIR": str(runtime / "ipython"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(CHECKOUT),
    }
    shutil.rmtree(runtime)


def work(kernel: Kernel) -> list[Cell]:
    """All commands that keep something, each with its right result."""
    cells = [kernel.run(code).check() for code in CELLS]
    assert "Created one" in cells[0].stdout + str(kernel.value("repr(box)"))
    assert "hello" in cells[1].stdout
    assert "one" in cells[4].results[-1]
    assert "running" in cells[6].results[-1]
    assert cells[7].results[-1] == "(1, True)"
    assert cells[9].results[-1] == "137"
    assert "one" in cells[11].results[-1]
    assert "Shut down" in cells[12].results[-1]
    return cells


def warnings(cells: list[Cell]) -> list[str]:
    lines = "".join(cell.stdout + cell.stderr for cell in cells).splitlines()
    return [line for line in lines if "cannot be used" in line]


def test_a_home_that_is_absent_is_told_once(env: dict[str, str], tmp_path: Path) -> None:
    with kernels.start({**env, "HOME": "/proc/none"}, cwd=str(tmp_path), transport="tcp") as kernel:
        told = warnings(work(kernel))
        assert len(told) == 1, told
        assert "RUNLOOP_JUPYTER_HOME" in told[0]
        assert "/proc/none/.local/state/runloop-jupyter" in told[0]
        kernel.restart()
        again = [kernel.run(code).check() for code in (LOAD + "%devbox create again", "%devbox exec true")]
        assert len(warnings(again)) == 1
        told_by_doctor = kernel.run("%runloop doctor").check().results[-1]
        assert "All is well" not in told_by_doctor
        assert "◐  files" in told_by_doctor
        kernel.run(f"%env RUNLOOP_JUPYTER_HOME={tmp_path}/better\n%devbox use again\n%devbox shutdown").check()
        assert (tmp_path / "better" / "kernels").is_dir()


def test_a_folder_that_is_removed_under_a_kernel_and_its_working_folder_too_are_no_trouble(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "notebooks").mkdir()
    env = {**env, "RUNLOOP_JUPYTER_HOME": str(tmp_path / "state")}
    with kernels.start(env, cwd=str(tmp_path / "notebooks"), transport="tcp") as kernel:
        kernel.run(LOAD + "%devbox create early").check()
        shutil.rmtree(tmp_path / "state")
        shutil.rmtree(tmp_path / "notebooks")
        assert warnings(work(kernel)) == []
        fails(kernel, kernel.run("%devbox upload nothing-here"), "UsageError", "nothing-here")


if os.getuid() == 0:

    @pytest.mark.parametrize(
        ("extra", "full", "words"),
        [
            ({"HOME": "/nonexistent"}, False, ("/nonexistent", "Permission denied")),
            ({"HOME": "/"}, False, ("/.local/state", "Permission denied")),
            ({"HOME": "/", "RUNLOOP_JUPYTER_HOME": "full"}, True, ("full", "No space left")),
        ],
        ids=["no home", "the root as home", "a full disk"],
    )
    def test_an_account_that_nobody_knows_works_with_one_warning(
        env: dict[str, str], tmp_path: Path, extra: dict[str, str], full: bool, words: tuple[str, ...]
    ) -> None:
        disk = str(tmp_path / "full") if full else ""
        env = {**env, **extra, **({"RUNLOOP_JUPYTER_HOME": disk} if full else {})}
        program = [sys.executable, str(CHECKOUT / "tests/jupyter/as_account.py"), str(CHECKOUT), disk, *LAUNCHER]
        with kernels.start(env, command=program, cwd="/", transport="tcp") as kernel:
            assert kernel.value("__import__('os').getuid()") == 64_999
            told = warnings(work(kernel))
        assert len(told) == 1, told
        assert all(word in told[0] for word in (*words, "RUNLOOP_JUPYTER_HOME")), told
