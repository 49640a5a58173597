"""What becomes of a kernel's devboxes: when it ends, is restarted, is killed, or unloads the extension."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from runloop_jupyter import ahead
from runloop_jupyter.connection import Connection
from runloop_jupyter.leases import Leases
from tests.jupyter import kernels
from tests.jupyter.embedded import Home

if TYPE_CHECKING:
    from tests.local.serving import Service

LOAD = "%load_ext runloop_jupyter\n"


def becomes(home: Home, name: str, status: str, within: float = 10) -> bool:
    """Whether a devbox reaches a state in time."""
    deadline = time.monotonic() + within
    while home.statuses()[name] != status:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_restart_shuts_down_what_the_kernel_created_and_leaves_what_is_kept(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(
            LOAD + "%devbox create --name one\n%devbox create --name kept --keep\n%devbox create --name two"
        ).check()
        started = time.monotonic()
        kernel.restart()
        assert time.monotonic() - started < 4
        statuses = home.statuses()
        assert {name: statuses[name] for name in ("one", "two", "kept")} == {
            "one": "shutdown",
            "two": "shutdown",
            "kept": "running",
        }
        kernel.run(LOAD + "%devbox use kept\n%devbox exec echo found").check()
        kernel.run("%devbox shutdown").check()


def test_a_restart_in_the_middle_of_a_cell_kills_its_command(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(LOAD + "%devbox create --name busy").check()
        cell = kernel.send("%%devbox exec\necho begun; sleep 1000")
        kernel.shows(cell, "begun")
        kernel.restart()
        assert home.statuses()["busy"] == "shutdown"


def test_a_killed_kernel_leaves_its_devbox_to_the_keep_alive(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(LOAD + "%devbox create --name orphan --keep-alive 3s").check()
        created = time.monotonic()
        while time.monotonic() < created + 3.5:  # longer than its keep-alive: renewals hold it
            assert home.statuses()["orphan"] == "running"
            time.sleep(0.1)
        os.kill(kernel.process_id, signal.SIGKILL)
        assert home.statuses()["orphan"] == "running"
        assert becomes(home, "orphan", "shutdown")


def test_a_cell_that_blocks_the_kernel_does_not_cost_the_devbox(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(LOAD + "%devbox create --name patient --keep-alive 2s\nimport time; time.sleep(3)").check()
        assert home.statuses()["patient"] == "running"


def test_unloading_undoes_loading(home: Home) -> None:
    look = "shell = get_ipython(); manager = shell.magics_manager\n"
    state = (
        "([sorted(t) for t in manager.magics.values()], sorted(manager.registry), "
        "len(shell.Completer.matchers), len(shell.configurables))"
    )
    with kernels.start(home.env) as kernel:
        kernel.run("%load_ext autoreload").check()  # IPython loads %load_ext itself at its first use
        kernel.run(look + "manager.register_function(lambda line: 'mine', 'line', 'devbox')").check()
        before = kernel.value(state)
        for name in ("first", "second"):
            kernel.run(LOAD + f"%devbox create --name {name}").check()
            assert kernel.value(state) != before
            kernel.run("%unload_ext runloop_jupyter").check()
            assert kernel.value(state) == before
            assert home.statuses()[name] == "shutdown"
        assert kernel.run("%devbox").check().results == ["'mine'"]


def test_loading_is_quick_and_imports_nothing_heavy(home: Home) -> None:
    heavy = ("runloop_sdk", "runloop_local", "httpx", "pydantic", "ipywidgets", "anywidget")
    measure = (
        "import sys, time\nbegan = time.perf_counter()\nget_ipython().run_line_magic('load_ext', 'runloop_jupyter')\n"
        "took, loaded = time.perf_counter() - began, set(sys.modules)"
    )
    times = []
    for _ in range(3):
        with kernels.start(home.env) as kernel:
            kernel.run("%load_ext autoreload").check()
            before = kernel.value("list(__import__('sys').modules)")
            kernel.run(measure).check()
            assert not {m for m in kernel.value("list(loaded)") if m.split(".")[0] in heavy} - set(before)
            times.append(kernel.value("took"))
    assert min(times) < 0.01


def test_a_kernel_that_waits_imports_what_the_first_command_needs(home: Home) -> None:
    needed = set(ahead._MODULES)
    with kernels.start(home.env) as kernel:
        kernel.run("%load_ext runloop_jupyter").check()
        end = time.monotonic() + 30
        while missing := needed - set(kernel.value("list(__import__('sys').modules)")):
            assert time.monotonic() < end, missing
            time.sleep(0.1)


def test_a_forked_child_ends_nothing(service: Service) -> None:
    leases = Leases()
    leases.add("dbx_none", Connection(service.base_url, service.api_key), keep_alive=60, keep=False)
    child = os.fork()
    if child == 0:
        began = time.monotonic()
        leases.end()
        os._exit(0 if "dbx_none" in leases and time.monotonic() - began < 0.5 else 1)
    assert os.waitpid(child, 0)[1] == 0
    leases.drop("dbx_none")


def test_the_end_of_a_kernel_does_not_wait_for_a_service_that_hangs() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        leases = Leases()
        here = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", "key")
        for number in range(20):
            leases.add(f"dbx_{number}", here, keep_alive=60, keep=False)
        began = time.monotonic()
        leases.end()
        assert time.monotonic() - began < 1.5
