"""Mistakes and broken surroundings: one clear sentence, a failed cell, and a next cell that works."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home, embedded_home
from tests.jupyter.kernels import fails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jupyter.kernels import Kernel
    from tests.local.serving import Service


@pytest.fixture(scope="module")
def loaded(home: Home) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        started.run("sdk = await __import__('runloop_jupyter').sdk()").check()
        started.run("for _ in range(2): await sdk.devbox.create(name='twin')").check()
        started.run("%devbox create --name gone\n%devbox shutdown").check()
        yield started


@pytest.fixture
def kernel(loaded: Kernel) -> Kernel:
    """The module's kernel, with the devbox `main` as the current one."""
    loaded.run("%devbox use main").check()
    return loaded


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        pytest.param("%devbox craete", "UsageError", ("'craete'", "'create'"), id="subcommand"),
        pytest.param("%devbox create --nam x", "UsageError", ("'--nam'", "'--name'"), id="option"),
        pytest.param("%runloop list", "UsageError", ("%devbox list",), id="word after %runloop"),
        pytest.param("%%devbox exec --tmeout 3\nls", "UsageError", ("'--tmeout'", "'--timeout'"), id="cell's option"),
        pytest.param("%%devbox exec ls\npwd", "UsageError", ("'ls'", "in the cell"), id="command beside the cell"),
        pytest.param("%%devbox list\npwd", "UsageError", ("takes no cell", "%devbox list"), id="cell for a line"),
        pytest.param("%devbox exec", "UsageError", ("no command",), id="no command"),
        pytest.param("%%devbox exec\n\n  \n", "UsageError", ("no command",), id="empty cell"),
        pytest.param("%%devbox exec\necho {{undefined}}", "UsageError", ("{{undefined}}", "NameError"), id="template"),
        pytest.param("%devbox use mian", "UsageError", ("'mian'", "'main'"), id="no such devbox"),
        pytest.param("%devbox use dbx_00nosuch", "UsageError", ("'dbx_00nosuch'",), id="no such id"),
        pytest.param("%devbox exec --on nobody ls", "UsageError", ("'nobody'",), id="no such devbox to run on"),
        pytest.param("%devbox use twin", "UsageError", ("2 devboxes", "dbx_"), id="ambiguous name"),
        pytest.param("%devbox use gone", "DevboxUnavailableError", ("has been shut down",), id="ended devbox"),
        pytest.param("%devbox exec --on gone ls", "DevboxUnavailableError", ("has been shut down",), id="run on ended"),
        pytest.param("%devbox exec --cwd /no/dir ls", "UsageError", ("'/no/dir'", "--cwd"), id="no directory"),
        pytest.param("%devbox create --snapshot snp_none", "UsageError", ("snp_none",), id="no such snapshot"),
        pytest.param("%devbox create --blueprint none", "UsageError", ("none",), id="no such blueprint"),
    ],
)
def test_a_mistake_says_what_is_wrong(kernel: Kernel, code: str, error: str, words: tuple[str, ...]) -> None:
    fails(kernel, kernel.run(code), error, *words)


def test_a_failed_cell_stops_run_all(kernel: Kernel) -> None:
    cells = [kernel.send(code) for code in ("%devbox exec false", "ran = True")]
    assert kernel.ended(cells[0]).status == "error"
    assert kernel.ended(cells[1]).status == "aborted"
    assert kernel.value("'ran' in globals()") is False


def test_a_directory_that_exists_may_fail_with_any_exit_code(kernel: Kernel) -> None:
    fails(kernel, kernel.run("%devbox exec --cwd /tmp exit 213"), "DevboxCommandError", "exit code 213")


def test_a_devbox_shut_down_between_cells_is_told_and_replaced(kernel: Kernel) -> None:
    kernel.run("%devbox create --name brief").check()
    kernel.run("sdk = get_ipython().magics_manager.registry['RunloopMagics'].session").check()
    kernel.run("await (await sdk.client.sdk()).devbox.from_id(sdk.current.id).shutdown()").check()
    fails(
        kernel, kernel.run("%devbox exec ls"), "DevboxUnavailableError", "brief", "has been shut down", "api_shutdown"
    )
    assert "No devbox was chosen: created notebook-" in kernel.run("%devbox exec echo next").check().stdout
    kernel.run("%devbox shutdown").check()


def test_a_devbox_shut_down_in_the_middle_of_a_cell_ends_the_cell(kernel: Kernel, home: Home) -> None:
    async def shut_down(name: str) -> None:
        async with home.sdk() as sdk:
            async for view in sdk.api.devboxes.list(status="running"):
                if view.name == name:
                    await sdk.api.devboxes.shutdown(view.id)

    kernel.run("%devbox create --name brief2").check()
    cell = kernel.send("%%devbox exec\necho begun; sleep 1000")
    kernel.shows(cell, "begun")
    asyncio.run(shut_down("brief2"))
    fails(kernel, kernel.ended(cell), "DevboxUnavailableError", "brief2", "has been shut down")


def test_a_wrong_key_names_the_variable(kernel: Kernel, home: Home) -> None:
    kernel.run(
        f"import os; os.environ.update(RUNLOOP_API_KEY='wrong-key', RUNLOOP_BASE_URL='{home.endpoint['base_url']}')"
    ).check()
    for code in ("%devbox list", "%devbox exec ls", "%runloop"):
        cell = kernel.run(code)
        fails(kernel, cell, "RemoteError", "RUNLOOP_API_KEY", "401")
        assert "wrong-key" not in str((cell.messages, cell.reply))
    kernel.run("os.environ.update(RUNLOOP_API_KEY='', RUNLOOP_BASE_URL='')").check()
    assert kernel.run("%devbox use main\n%devbox exec echo back").check().stdout.endswith("back\n")


def test_a_base_url_without_a_key_is_refused(kernel: Kernel) -> None:
    kernel.run("import os; os.environ['RUNLOOP_BASE_URL'] = 'http://127.0.0.1:1'").check()
    fails(kernel, kernel.run("%devbox list"), "UsageError", "RUNLOOP_BASE_URL", "RUNLOOP_API_KEY")
    kernel.run("os.environ['RUNLOOP_BASE_URL'] = ''").check()
    kernel.run("%devbox list").check()


def test_a_key_and_a_url_name_any_service(home: Home, service: Service) -> None:
    with kernels.start(
        {**home.env, "RUNLOOP_API_KEY": service.api_key, "RUNLOOP_BASE_URL": service.base_url}
    ) as kernel:
        cell = kernel.run("%load_ext runloop_jupyter\n%devbox create --name elsewhere\n%runloop").check()
        assert f"Connected to the service at {service.base_url}." in cell.results[-1]
        assert "Using the embedded service" not in cell.stdout
        assert service.api_key not in str(cell.messages)


def test_an_unreachable_cloud_names_the_url(home: Home) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with kernels.start({**home.env, "RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": url}) as kernel:
            kernel.run("%load_ext runloop_jupyter").check()
            for code in ("%devbox list", "%devbox exec ls"):
                cell = kernel.run(code)
                fails(kernel, cell, "RemoteError", url, "RUNLOOP_BASE_URL")
            kernel.run("import os; os.environ['RUNLOOP_BASE_URL'] = 'http://nowhere.invalid'").check()
            fails(kernel, kernel.run("%devbox list"), "RemoteError", "http://nowhere.invalid")


def test_a_cloud_that_does_not_answer_is_waited_for_openly_and_can_be_stopped(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with kernels.start({**home.env, "RUNLOOP_API_KEY": "k", "RUNLOOP_BASE_URL": url}) as kernel:
            cell = kernel.send("%load_ext runloop_jupyter\n%devbox list")
            kernel.shows(cell, "%devbox list … ")
            kernel.interrupt()
            fails(kernel, kernel.ended(cell), "KeyboardInterrupt")


def test_a_service_killed_in_the_middle_of_a_cell_is_told_and_comes_back(tmp_path: Path) -> None:
    with embedded_home(tmp_path / "home") as home, kernels.start(home.env) as kernel:
        kernel.run("%load_ext runloop_jupyter\n%devbox create --name main\n%devbox exec echo kept > file").check()
        cell = kernel.send("%%devbox exec\necho begun; sleep 1000")
        kernel.shows(cell, "begun")
        home.kill()
        fails(kernel, kernel.ended(cell), "ConnectionLostError", "has ended", "%devbox resume")
        resumed = kernel.run("%devbox resume").check()
        assert "was started again" in resumed.stdout
        assert "Resumed main" in resumed.results[0]
        assert kernel.run("%devbox exec cat file").check().stdout == "kept\n"


def test_a_service_killed_between_cells_is_started_again(tmp_path: Path) -> None:
    with embedded_home(tmp_path / "home") as home:
        with kernels.start(home.env) as kernel:
            kernel.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
            home.kill()
            fails(kernel, kernel.run("%devbox exec ls"), "DevboxUnavailableError", "main", "%devbox resume main")
            assert kernel.run("%devbox resume\n%devbox exec echo back").check().stdout == "back\n"
        home.ends("main")  # with its kernel, which the new service knows


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    env = {"RUNLOOP_LOCAL_HOME": str(tmp_path / "file"), "RUNLOOP_API_KEY": "", "RUNLOOP_BASE_URL": ""}
    with kernels.start(env) as kernel:
        kernel.run("%load_ext runloop_jupyter").check()
        fails(kernel, kernel.run("%devbox list"), "RemoteError", str(tmp_path / "file"))


def test_missing_isolation_is_said_openly(tmp_path: Path) -> None:
    with embedded_home(tmp_path / "home") as home:
        command = [sys.executable, "-m", "runloop_local", "serve", "--isolation", "process"]
        with subprocess.Popen(command, env={**os.environ, **home.env}, stdout=subprocess.PIPE) as serving:
            assert serving.stdout is not None
            serving.stdout.readline()
            with kernels.start(home.env) as kernel:
                said = kernel.run("%load_ext runloop_jupyter\n%devbox exec echo hello").check().stdout.splitlines()
                assert f"(isolation: {home.endpoint['isolation']})" in said[0]
                assert home.endpoint["isolation"] != "namespaces"
                assert said[1] in home.endpoint["notes"]
                assert said[-1] == "hello"
            serving.terminate()
