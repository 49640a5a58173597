"""The start of the embedded service, as a cell shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import embedded_home
from tests.jupyter.kernels import Kernel, fails
from tests.local.slow_machine import SlowMachine

LOAD = "%load_ext runloop_jupyter\n"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowMachine]:
    machine = SlowMachine(tmp_path)
    yield machine
    machine.open()


@pytest.fixture
def kernel(slow: SlowMachine, tmp_path: Path) -> Iterator[Kernel]:
    with embedded_home(tmp_path / "home") as home, kernels.start({**home.env, **slow.env}) as started:
        started.run(LOAD).check()
        yield started
        slow.open()


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("%devbox list", "%devbox list · starting the embedded service … "),
        ("%devbox exec echo hi", "connecting · starting the embedded service … "),
        ("%devbox create one", "creating one · starting the embedded service · "),
        ("import runloop_jupyter; sdk = await runloop_jupyter.sdk()", "starting the embedded service … "),
    ],
    ids=["list", "exec", "create", "sdk"],
)
def test_a_cell_tells_that_it_waits_for_the_service(kernel: Kernel, slow: SlowMachine, code: str, line: str) -> None:
    cell = kernel.send(code)
    kernel.shows(cell, line)
    slow.open()
    kernel.ended(cell).check()
    assert line not in str(cell.displays)


def test_stop_ends_the_wait_at_once_and_the_next_cell_uses_the_service(kernel: Kernel, slow: SlowMachine) -> None:
    cell = kernel.send("%devbox list")
    kernel.until(lambda: slow.starts, "the start")
    kernel.listen(0.2)
    kernel.interrupt()
    fails(kernel, kernel.ended(cell), "KeyboardInterrupt")
    slow.open()
    assert "Created one" in kernel.run("%devbox create one").check().results[0]
    assert len(slow.starts) == 1


def test_a_service_that_comes_late_is_told_and_used(kernel: Kernel, slow: SlowMachine) -> None:
    kernel.run("%config RunloopMagics.start_timeout = '1s'").check()
    for code in ("%devbox create one", "%runloop connect local"):
        fails(kernel, kernel.run(code), "RemoteError", "within 1 s", "is still starting", "RUNLOOP_LOCAL_START_TIMEOUT")
    assert "1 problem to look at: service." in kernel.run("%runloop doctor").check().results[0]
    kernel.run("%config RunloopMagics.start_timeout = ''").check()
    cell = kernel.send("%devbox create one")
    kernel.shows(cell, "starting the embedded service")
    slow.open()
    assert "Created one" in kernel.ended(cell).check().results[0]
    assert len(slow.starts) == 1


def test_two_kernels_start_it_once(kernel: Kernel, slow: SlowMachine, tmp_path: Path) -> None:
    with embedded_home(tmp_path / "home") as home, kernels.start({**home.env, **slow.env}) as other:
        made = {"one": kernel, "other": other}
        cells = [(each, each.send(f"{LOAD}%devbox create {name}")) for name, each in made.items()]
        for each, cell in cells:
            each.shows(cell, "starting the embedded service")
        slow.open()
        for each, cell in cells:
            each.ended(cell).check()
        assert len(slow.starts) == 1


def test_a_service_that_has_no_place_names_the_variable(tmp_path: Path) -> None:
    env = {"RUNLOOP_LOCAL_HOME": "", "XDG_STATE_HOME": "", "HOME": "/proc/none", "RUNLOOP_API_KEY": ""}
    with kernels.start({**env, "RUNLOOP_BASE_URL": "", "IPYTHONDIR": str(tmp_path)}) as kernel:
        kernel.run(LOAD).check()
        for code in ("%devbox create", "%runloop panel", "%runloop connect local"):
            fails(kernel, kernel.run(code), "RemoteError", "/proc/none/.local/state", "RUNLOOP_LOCAL_HOME")
        assert "RUNLOOP_LOCAL_HOME" in kernel.run("%runloop doctor").check().results[0]
