"""The comm between a kernel and the page of its notebook: when it is there, and what it costs others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter import kernels
from tests.jupyter.kernels import Cell, Kernel

LOAD = "%load_ext runloop_jupyter"
COMMS = "[comm.target_name for comm in get_ipython().kernel.comm_manager.comms.values()]"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with kernels.start({"RUNLOOP_JUPYTER_HOME": str(tmp_path)}) as kernel:
        yield kernel


def unwatched(kernel: Kernel, code: str) -> Cell:
    """A cell that a program runs, which cannot be asked anything."""
    return kernel.ended(kernel.send(code, watched=False)).check()


def test_loading_opens_it_and_unloading_closes_it(kernel: Kernel) -> None:
    assert kernel.value(COMMS) == []
    kernel.run(LOAD).check()
    assert kernel.value(COMMS) == ["runloop_jupyter"]
    kernel.run("%reload_ext runloop_jupyter").check()
    assert kernel.value(COMMS) == ["runloop_jupyter"]
    kernel.run("%unload_ext runloop_jupyter").check()
    assert kernel.value(COMMS) == []


def test_programs_that_run_notebooks_do_not_see_it(kernel: Kernel) -> None:
    unwatched(kernel, LOAD)
    seen = unwatched(kernel, f"print({COMMS})")
    assert seen.stdout == "[]\n"
    assert kernel.value(COMMS) == ["runloop_jupyter"], "somebody watches now"


def test_it_imports_nothing_that_answers_the_page_before_that_speaks(kernel: Kernel) -> None:
    kernel.run(LOAD).check()
    loaded = "[name for name in __import__('sys').modules if name.startswith('runloop_jupyter.lab.')]"
    assert kernel.value(loaded) == []
