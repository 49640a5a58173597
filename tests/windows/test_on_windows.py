"""On Windows the product works with a service elsewhere: tried in a Python without what only POSIX has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runloop_sdk.windows_names import windows_problem
from tests.jupyter import kernels
from tests.jupyter.kernels import Kernel, fails
from tests.local.serving import Service, serving
from tests.own_state import kept_in
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
KERNEL = [sys.executable, "-m", "tests.windows.as_windows"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that shares nothing with the kernels: they know its address and its key."""
    with serving(tmp_path_factory.mktemp("service") / "data") as service:
        yield service


def environment(folder: Path, service: Service | None = None) -> dict[str, str]:
    there = {"RUNLOOP_BASE_URL": service.base_url, "RUNLOOP_API_KEY": service.api_key} if service else {}
    return {**kept_in(folder), "PYTHONPATH": str(ROOT), **there}


@pytest.fixture(scope="module")
def kernel(elsewhere: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the magics and the devbox `main`."""
    folder = tmp_path_factory.mktemp("kernel")
    with kernels.start(environment(folder, elsewhere), cwd=str(folder), command=KERNEL) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started


def test_the_product_sees_windows(kernel: Kernel) -> None:
    kernel.run("from runloop_local import file_lock").check()
    assert kernel.value("file_lock.sys.platform, hasattr(file_lock.os, 'O_NOFOLLOW')") == ("win32", False)
    assert kernel.value("file_lock.msvcrt.__name__") == "msvcrt"
    assert kernel.value("__import__('sys').platform") != "win32"


def test_a_command_streams_and_fails_as_elsewhere(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec\necho one; echo two >&2").check()
    assert (cell.stdout, cell.stderr) == ("one\n", "two\n")
    fails(kernel, kernel.run("%devbox exec exit 3"), "DevboxCommandError", "exit code 3")


def test_a_python_cell_returns_its_value(kernel: Kernel) -> None:
    assert kernel.run("%%devbox python\nimport platform\nplatform.system()").check().displays[0] == "'Linux'"


def test_stop_ends_the_command(kernel: Kernel) -> None:
    kernels.assert_stop_ends_its_command(kernel)


def test_files_and_folders_come_and_go(kernel: Kernel) -> None:
    kernel.run(
        "import pathlib\n"
        "pathlib.Path('sent/deep').mkdir(parents=True)\n"
        "pathlib.Path('sent/deep/one.txt').write_bytes(b'1\\r\\n')\n"
        "pathlib.Path('alone.bin').write_bytes(bytes(range(256)))"
    ).check()
    kernel.run("%devbox push sent there\n%devbox upload alone.bin alone.bin").check()
    kernel.run("%%devbox exec\necho new > there/deep/new.txt; touch 'there/a:b' there/nul 'there/at end '").check()
    told = kernel.run("%devbox pull there back").check()
    assert kernel.value("sorted(p.name for p in pathlib.Path('back').rglob('*.txt'))") == ["new.txt", "one.txt"]
    assert kernel.value("pathlib.Path('back/deep/one.txt').read_bytes()") == b"1\r\n"
    assert kernel.value("sorted(p.name for p in pathlib.Path('back').iterdir())") == ["deep"]
    assert all(name in told.results[0] for name in ("a:b", "nul", "at end"))
    kernel.run("%devbox download alone.bin again.bin").check()
    assert kernel.value("pathlib.Path('again.bin').read_bytes() == bytes(range(256))") is True


def test_a_name_that_windows_cannot_have_is_refused_before_anything_comes(kernel: Kernel) -> None:
    kernel.run("%devbox exec touch 'c:evil'").check()
    fails(kernel, kernel.run("%devbox download c:evil"), "UsageError", "'c:evil'", "Say by which name")


def test_the_panel_and_the_doctor_answer(kernel: Kernel) -> None:
    assert "main" in kernel.run("%runloop panel").check().results[0]
    assert "main" in kernel.run("%devbox list").check().results[0]
    assert "Python" in kernel.run("%runloop doctor").check().results[0]


def test_another_kernel_that_lives_is_not_taken_for_dead(kernel: Kernel, elsewhere: Service, tmp_path: Path) -> None:
    state = kernel.value("str(__import__('runloop_jupyter.state').state.home())")
    env = {**environment(tmp_path, elsewhere), "RUNLOOP_JUPYTER_HOME": state}
    with kernels.start(env, cwd=str(tmp_path), command=KERNEL) as other:
        other.run("%load_ext runloop_jupyter").check()
        other.run("%devbox create --name second").check()
        kernel.run("%runloop cleanup --yes").check()
        assert "running" in other.run("%devbox info second").check().results[0]


def test_without_a_service_it_says_what_to_do(tmp_path: Path) -> None:
    env = {**environment(tmp_path), "PATH": str(tmp_path)}
    with kernels.start(env, cwd=str(tmp_path), command=KERNEL) as alone:
        alone.run("%load_ext runloop_jupyter").check()
        fails(alone, alone.run("%devbox create"), "RemoteError", "WSL 2", "RUNLOOP_API_KEY")


def test_the_service_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.windows.as_windows", "serve"]
    env = {**os.environ, **environment(tmp_path), "PATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "Docker Desktop" in ended.stderr
    assert "WSL 2" in ended.stderr


@pytest.mark.parametrize("mode", ["running", "standing-still"])
def test_ipython_works_on_the_loop_of_windows(mode: str, elsewhere: Service, tmp_path: Path) -> None:
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "a.txt").write_text("content")
    cells = [
        "%load_ext runloop_jupyter",
        f"%devbox create --name {mode}",
        "%devbox exec echo from the devbox",
        "%devbox push sent there\n%devbox pull there back",
        "%%devbox exec\nhead -c 3000000 /dev/zero | base64 | wc -l",
        f"%devbox shutdown {mode} --yes",
        "%unload_ext runloop_jupyter",  # Python 3.11 crashes at its end while a proactor still reads
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.windows.terminal_ipython", *(["--running"] if mode == "running" else []), *cells],
        env={**os.environ, **environment(tmp_path, elsewhere)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "from the devbox" in ended.stdout
    assert (tmp_path / "back" / "a.txt").read_text() == "content"


POSSIBLE = ("a", ".a", "a b", "con1", "console.txt", "nul-1", "com10", "ä€", "a'b", "comb.x", "-")
IMPOSSIBLE = (
    *("a:b", "C:", "a\\b", "..\\x", "a?", "*", "a|b", 'a"b', "<", ">", "a/b", "tab\t", "nul:", "x\0y"),
    *(
        "a ",
        "a.",
        "..",
        "...",
        " ",
        "nul",
        "NUL.txt",
        "con",
        "Aux.tar.gz",
        "com1",
        "lpt9.x",
        "com¹",
        "CONIN$",
        "prn .txt",
    ),
)


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_name_that_windows_can_have(name: str) -> None:
    assert windows_problem(name) is None


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_name_that_windows_cannot_have(name: str) -> None:
    assert "Windows" in str(windows_problem(name))
