"""What becomes of a kernel's devboxes: when it ends, is restarted, is killed, or unloads the extension."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from runloop_jupyter.kernel import preload
from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.jupyter.kernels import Kernel

LOAD = "%load_ext runloop_jupyter\n"
ENDED = ("keep_alive_timeout", "the kernel that created it has ended")
"""Why a devbox ended that the service ended because its kernel had, without having been asked to."""
ASKED = ("api_shutdown", "")
RAN_OUT = ("keep_alive_timeout", "")
IMPORTS_BLOCK = """
import atexit, os, sys
class Blocked:
    def find_spec(self, name, path, target=None):
        os._exit(1)
atexit.register(lambda: sys.meta_path.insert(0, Blocked()))
"""
"""From the first moment of its end on, the kernel can import nothing any more: an import is its last deed."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The folder of a service that cannot see kernels."""
    with embedded_home(tmp_path_factory.mktemp("cloud"), sees_kernels=False) as folder:
        yield folder


@contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """So many processes that compute all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _kill(kernel: Kernel) -> None:
    os.kill(kernel.process_id, signal.SIGKILL)


def _exit_at_once(kernel: Kernel) -> None:
    kernel.send("import os; os._exit(1)")


def _restart(kernel: Kernel) -> None:
    kernel.restart()


def _restart_by_force(kernel: Kernel) -> None:
    kernel.restart(now=True)


def _exit(kernel: Kernel) -> None:
    kernel.send("exit()")


@pytest.mark.parametrize(
    "end", [_kill, _exit_at_once, _restart, _restart_by_force, _exit], ids=lambda end: end.__name__
)
def test_however_a_kernel_ends_the_service_ends_what_it_created(
    home: Home, kernel: Kernel, end: Callable[[Kernel], None]
) -> None:
    name = end.__name__
    with kernels.start(home.env) as ending:
        ending.run(f"{LOAD}%devbox create --name one{name}\n%devbox create --name kept{name} --keep").check()
        ending.run(f"%devbox create --name two{name} --keep-alive 2h\n%devbox suspend").check()
        end(ending)
        assert [home.ends(f"one{name}"), home.ends(f"two{name}")] == [ENDED, ENDED]
    kernel.run(f"%devbox use kept{name}\n%devbox exec echo found").check()
    kernel.run("%devbox shutdown").check()


def test_a_restart_in_the_middle_of_a_cell_kills_its_command(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(LOAD + "%devbox create --name busy").check()
        cell = kernel.send("%%devbox exec\necho begun; sleep 1000")
        kernel.shows(cell, "begun")
        kernel.restart()
        assert home.ends("busy") == ENDED


def test_ten_kernels_that_end_on_a_busy_machine_leave_nothing(home: Home) -> None:
    names = [f"busy-{number}" for number in range(10)]
    with ExitStack() as stack:
        started = [stack.enter_context(kernels.start(home.env)) for _ in names]
        for kernel, name in zip(started, names, strict=True):
            kernel.run(f"{LOAD}%devbox create --name {name}").check()
        with busy_loops(4):
            for kernel in started:
                kernel.client.shutdown()
            assert [home.ends(name) for name in names] == [ENDED] * len(names)


def test_a_forked_child_that_lives_on_keeps_no_devbox(home: Home, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    with kernels.start(home.env) as kernel:
        kernel.run(LOAD + "%devbox create --name forked").check()
        kernel.run(
            f"import os, time\nchild = os.fork()\nif not child:\n    while os.path.exists({str(flag)!r}):\n"
            "        time.sleep(0.05)\n    os._exit(0)"
        ).check()
        child = kernel.value("child")
        assert home.statuses()["forked"] == "running"
        _kill(kernel)
        assert home.ends("forked") == ENDED
        os.kill(child, 0)  # it lives
        flag.unlink()


def test_a_kernel_that_is_stopped_by_a_signal_keeps_its_devbox(home: Home) -> None:
    with kernels.start(home.env) as stopped, kernels.start(home.env) as killed:
        stopped.run(LOAD + "%devbox create --name stopped").check()
        killed.run(LOAD + "%devbox create --name killed").check()
        os.kill(stopped.process_id, signal.SIGSTOP)
        _kill(killed)
        assert home.ends("killed") == ENDED
        assert home.statuses()["stopped"] == "running"
        os.kill(stopped.process_id, signal.SIGCONT)
        assert stopped.run("%devbox exec echo still here").check().stdout == "still here\n"


def test_a_kernel_that_dies_while_the_service_is_stopped_leaves_nothing_to_the_next(home: Home) -> None:
    with kernels.start(home.env) as dying, kernels.start(home.env) as living:
        dying.run(LOAD + "%devbox create --name died-meanwhile").check()
        living.run(LOAD + "%devbox create --name lives-on").check()
        home.stop()
        _kill(dying)
        living.run("%devbox resume").check()
        assert home.ends("died-meanwhile") == ENDED
        living.run("%devbox create --name later").check()
        _kill(living)
        assert [home.ends("lives-on"), home.ends("later")] == [ENDED, ENDED]


@contextmanager
def elsewhere(home: Home) -> Iterator[None]:
    """The service has ended, and does not come back at the same port."""
    address = urlsplit(home.endpoint["base_url"])
    home.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((address.hostname, address.port))
        yield


@pytest.mark.parametrize("connect", ["", "%runloop connect local\n"], ids=["by itself", "connected to"])
def test_what_a_dead_kernel_left_is_found_when_the_service_came_back_elsewhere(tmp_path: Path, connect: str) -> None:
    with embedded_home(tmp_path) as home, kernels.start({**home.env, "JPY_SESSION_NAME": "one.ipynb"}) as kernel:
        kernel.run(f"{LOAD}{connect}%devbox create --name stray --keep").check()
        kernel.restart(now=True)
        kernel.run(f"{LOAD}{connect}%devbox list").check()
        with elsewhere(home):
            kernel.run("%devbox list").check()
        assert "used last" in kernel.run("%devbox use").check().results[-1]
        assert "stray" in kernel.run("%runloop cleanup --kept --dry-run").check().results[-1]
        kernel.run("%runloop cleanup --kept --yes").check()
        assert home.statuses() == {"stray": "shutdown"}


def test_a_second_notebook_loses_what_it_uses_when_the_maker_ends(home: Home) -> None:
    with kernels.start(home.env) as maker, kernels.start(home.env) as user:
        maker.run(LOAD + "%devbox create --name borrowed").check()
        user.run(LOAD + "%devbox use borrowed").check()
        _kill(maker)
        assert home.ends("borrowed") == ENDED
        kernels.fails(user, user.run("%devbox exec true"), "DevboxUnavailableError", "borrowed", "has been shut down")


# Made by the SDK


def test_what_the_sdk_creates_is_the_kernels(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(f"{LOAD}import asyncio, runloop_jupyter\nsdk = await runloop_jupyter.sdk()").check()
        kernel.run("made = await asyncio.gather(*(sdk.devbox.create(name=f'sdk-{n}') for n in range(5)))").check()
        kernel.run("await sdk.api.devboxes.create(name='sdk-api')").check()
        kernel.run("await sdk.api.devboxes.create_and_await_running(name='sdk-waiting')").check()
        kernel.run("await (await made[0].snapshot_disk()).create_devbox(name='sdk-snapshot')").check()
        kernel.run("async with await sdk.devbox.create(name='sdk-closed'): pass").check()
        kernel.run("await (await runloop_jupyter.sdk(keep=True)).devbox.create(name='sdk-kept')").check()
        assert home.ends("sdk-closed") == ASKED
        kernel.run("mine = %devbox list --mine").check()
        assert kernel.value("len(mine)") == 9
        _kill(kernel)
        names = [*(f"sdk-{n}" for n in range(5)), "sdk-api", "sdk-waiting", "sdk-snapshot"]
        assert [home.ends(name) for name in names] == [ENDED] * len(names)
        assert home.statuses()["sdk-kept"] == "running"


def test_what_is_set_for_devboxes_holds_for_the_sdk_too_but_its_own_words_go_before(home: Home) -> None:
    with kernels.start(home.env) as kernel:
        kernel.run(f"{LOAD}import runloop_jupyter\n%config RunloopMagics.keep = True").check()
        kernel.run("%config RunloopMagics.keep_alive = '2h'\nsdk = await runloop_jupyter.sdk()").check()
        kernel.run("await sdk.devbox.create(name='set')").check()
        kernel.run("await (await runloop_jupyter.sdk(keep=False)).devbox.create(name='said')").check()
        own = {"keep_alive_time_seconds": 1}
        kernel.run(f"await sdk.api.devboxes.create(name='own', launch_parameters={own})").check()
        assert (home.keep_alive_of("set"), home.keep_alive_of("own")) == (7200, 1)
        assert home.ends("own") == RAN_OUT  # although the kernel lives
        _kill(kernel)
        assert home.ends("said") == ENDED
        assert home.statuses()["set"] == "running"


# On a service that cannot see the kernel


def test_where_the_kernel_is_not_seen_it_renews_a_short_time_and_asks_for_the_end(cloud: Home) -> None:
    with kernels.start(cloud.env) as kernel:
        kernel.run(f"{LOAD}{IMPORTS_BLOCK}\n%devbox create --name short\n%devbox create --name stays --keep").check()
        kernel.run("import runloop_jupyter\nsdk = await runloop_jupyter.sdk()").check()
        kernel.run("await sdk.devbox.create(name='by-sdk')\nawait sdk.devbox.create(name='second')").check()
        card = kernel.run("%devbox info short").check().results[-1]
        assert "with this kernel, at the latest 10 min after its last sign of life" in card
        names = ("short", "stays", "by-sdk", "second")
        assert [cloud.keep_alive_of(name) for name in names] == [600, 3600, 600, 600]
        kernel.restart()
        assert [cloud.ends(name) for name in ("short", "by-sdk", "second")] == [ASKED] * 3
        assert cloud.statuses()["stays"] == "running"


def test_a_killed_kernel_that_is_not_seen_leaves_its_devbox_to_the_keep_alive(cloud: Home) -> None:
    with kernels.start(cloud.env) as kernel:
        kernel.run(LOAD + "%devbox create --name orphan --keep-alive 5s").check()
        created = time.monotonic()
        while time.monotonic() < created + 5.5:  # longer than its keep-alive: renewals hold it
            assert cloud.statuses()["orphan"] == "running"
            time.sleep(0.1)
        _kill(kernel)
        assert cloud.ends("orphan") == RAN_OUT


def test_a_cell_that_blocks_the_kernel_does_not_cost_the_devbox(home: Home, cloud: Home) -> None:
    with kernels.start(home.env) as seen, kernels.start(cloud.env) as unseen:
        blocks = LOAD + "%devbox create --name patient --keep-alive 5s\nimport time; time.sleep(6)"
        cells = [(home, seen, seen.send(blocks)), (cloud, unseen, unseen.send(blocks))]
        for service, kernel, cell in cells:
            kernel.ended(cell).check()
            assert service.statuses()["patient"] == "running"


# The extension in the kernel


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
            assert home.ends(name) == ENDED
        assert kernel.run("%devbox").check().results == ["'mine'"]


def test_loading_imports_nothing_but_a_few_modules_of_its_own(home: Home) -> None:
    load = (
        "import sys\nbefore = set(sys.modules)\nget_ipython().run_line_magic('load_ext', 'runloop_jupyter')\n"
        "loaded = set(sys.modules) - before"
    )
    with kernels.start(home.env) as kernel:
        kernel.run("%load_ext autoreload").check()  # IPython loads %load_ext itself at its first use
        kernel.run(load).check()
        loaded = kernel.value("loaded")
    assert {name.partition(".")[0] for name in loaded} == {"runloop_jupyter"}
    assert len(loaded) < 10, loaded


def test_while_a_command_runs_nothing_is_imported_for_the_next_one(home: Home) -> None:
    loaded = "'runloop_jupyter.kernel.keep_alive' in __import__('sys').modules"  # which no command here needs
    with kernels.start(home.env) as kernel:
        cells = [kernel.send(code) for code in (LOAD, f"%devbox exec sleep 0.5\nwhile_it_ran = {loaded}")]
        for cell in cells:  # both were there before the first of them ran, so nothing was idle between them
            kernel.ended(cell).check()
        assert kernel.value("while_it_ran") is False
        wait_until(lambda: kernel.value(loaded), "the import")


def test_a_kernel_that_waits_imports_what_the_first_command_needs(home: Home) -> None:
    needed = set(preload._MODULES)
    with kernels.start(home.env) as kernel:
        kernel.run("%load_ext runloop_jupyter").check()
        wait_until(lambda: needed <= set(kernel.value("list(__import__('sys').modules)")), "the imports")
