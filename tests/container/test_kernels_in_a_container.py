"""Kernels whose embedded service runs in a container: found, started, told and ended as on this machine itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.container.podman import Podman, engine_home
from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import Kernel, fails
from tests.waiting import wait_until

ENDED = "the kernel that created it has ended"
LOAD = "%load_ext runloop_jupyter\n"


@pytest.fixture(scope="module")
def home(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with engine_home(engine, tmp_path_factory.mktemp("home")) as folder:
        yield folder


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    """A kernel with the magics and the devbox `main`."""
    with kernels.start(home.env) as started:
        started.run(f"{LOAD}%devbox create --name main").check()
        yield started


def run(home: Home, *arguments: str) -> str:
    command = [sys.executable, "-m", "runloop_local", *arguments]
    return subprocess.run(command, env={**os.environ, **home.env}, check=True, capture_output=True, text=True).stdout


def test_the_first_cell_starts_the_container(kernel: Kernel, home: Home, engine: Podman) -> None:
    name = home.endpoint["container"]
    assert engine.call("ps", "--format", "{{.Names}} {{.Ports}}").count(f"{name} 127.0.0.1:") == 1
    status = run(home, "status")
    assert f"podman, in the container {name}" in status
    assert "isolation  namespaces" in status
    assert "no idmapped mounts" in status


def test_a_command_streams_fails_and_is_root_by_sudo(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec\necho one; echo two >&2; sudo id -u").check()
    assert (cell.stdout, cell.stderr) == ("one\n0\n", "two\n")
    fails(kernel, kernel.run("%devbox exec exit 3"), "DevboxCommandError", "exit code 3")


def test_the_way_out_of_a_chroot_leads_nowhere(kernel: Kernel) -> None:
    """The service's own files are in the container beside the devbox's root, which was entered without pivot_root."""
    escape = (
        "import os\n"
        "top = os.open('/', os.O_RDONLY); os.makedirs('/tmp/below', exist_ok=True); os.chroot('/tmp/below')\n"
        "os.fchdir(top)\n"
        "for _ in range(64): os.chdir('..')\n"
        "os.chroot('.')\n"
        "print('out' if {'runloop-local', 'data'} & {*os.listdir('/')} else 'in')"
    )
    cell = kernel.run(f"%%devbox exec\nsudo python3 - <<'END'\n{escape}\nEND\ngrep -c /data /proc/mounts || true")
    assert cell.check().stdout.split() == ["in", "0"]


def test_stop_ends_the_command(kernel: Kernel) -> None:
    kernels.assert_stop_ends_its_command(kernel)


def test_values_files_snapshots_and_terminals(kernel: Kernel) -> None:
    assert kernel.run("%%devbox python\n[1, 2.5, 'three']").check().displays[0] == "[1, 2.5, 'three']"
    kernel.run("%%devbox write kept.txt\nwhat is kept").check()
    kernel.run("%devbox snapshot shot\n%devbox create --name again --snapshot shot").check()
    assert kernel.run("%devbox cat kept.txt").check().stdout.strip() == "what is kept"
    assert (
        kernel.run("%%devbox exec --tty\ntest -t 1 && readlink /proc/self/fd/1").check().stdout.startswith("/dev/pts/")
    )
    kernel.run("%devbox use main\n%devbox shutdown again --yes").check()


def test_a_tunnel_leads_to_its_port(kernel: Kernel) -> None:
    kernel.run("%devbox exec --bg python3 -m http.server 8000").check()
    kernel.run("link = %devbox tunnel 8000").check()
    kernel.run(
        "import asyncio\n"
        "for attempt in range(600):\n"
        "    page = await link.get('/')\n"
        "    if page.status_code == 200: break\n"
        "    await asyncio.sleep(0.1)\n"
        "page = page.text"
    ).check()
    assert "Directory listing" in str(kernel.value("page"))


def test_a_killed_kernel_takes_its_devboxes_along_also_where_a_child_lives_on(kernel: Kernel, home: Home) -> None:
    with kernels.start(home.env) as other:
        other.run(f"{LOAD}%devbox create --name mine").check()
        other.run("import os, time\nchild = os.fork()\nif not child: time.sleep(600); os._exit(0)").check()
        child, pid = int(str(other.value("child"))), int(str(other.value("os.getpid()")))
        home.becomes("mine", "running")
        os.kill(pid, signal.SIGKILL)
        try:
            assert home.ends("mine")[1] == ENDED
        finally:
            os.kill(child, signal.SIGKILL)
    assert home.statuses()["main"] == "running"


def test_a_kernel_outlives_a_killed_follower_and_a_new_start(kernel: Kernel, home: Home, engine: Podman) -> None:
    before = home.endpoint
    home.kill()
    assert kernel.run("%devbox exec echo still here").check().stdout == "still here\n"
    after = home.endpoint
    assert (after["base_url"], after["api_key"]) == (before["base_url"], before["api_key"])
    assert after["pid"] != before["pid"]
    home.stop()
    assert before["container"] not in engine.call("ps", "--all", "--format", "{{.Names}}")
    kernel.run("%devbox resume main").check()
    assert kernel.run("%devbox cat kept.txt").check().stdout.strip() == "what is kept"
    wait_until(lambda: home.statuses()["main"] == "running", "main to run")
