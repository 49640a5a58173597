"""Commands in the background: handles, output after the cell's end, finding them again after a restart."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runloop_jupyter.connection import Connection
from runloop_jupyter.executions.execution_history import ExecutionHistory, entry
from runloop_jupyter.resources.devboxes import DevboxInfo
from runloop_jupyter.state import StateFolder
from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import ends, remote

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.kernels import Kernel


def test_output_goes_on_into_its_own_cell_after_the_cell_has_ended(kernel: Kernel) -> None:
    wait = "until [ -e go ]; do sleep 0.05; done"
    first = kernel.run(f"%%devbox exec --bg -o job\necho line 1; {wait}; for i in 2 3 4 5 6; do echo line $i; done")
    second = kernel.run("print('second')").check()
    kernel.shows(first.check(), "line 1")
    kernel.run("%devbox exec --quiet touch go").check()
    kernel.until(lambda: "line 6" in first.stdout and "exit code 0" in str(first.displays), "its end")
    assert second.stdout == "second\n"
    assert kernel.value("job.wait().exit_code, job.done, job.output.count('line')") == (0, True, 6)


def test_a_handle_shows_how_it_is_and_can_be_awaited(kernel: Kernel) -> None:
    cell = kernel.run("job = %devbox exec --bg until [ -e on ]; do sleep 0.1; done; echo done\njob").check()
    assert re.fullmatch(r"● running for \d.* s · main · until \[ -e on \].*; echo done · \S+", cell.results[0])
    kernel.run("%devbox exec --quiet touch on").check()
    kernel.run("r = await job").check()
    assert kernel.value("r.stdout, job.result is r, job.state[:13]") == ("done\n", True, "✓ exit code 0")


def test_a_handle_kills(kernel: Kernel, home: Home) -> None:
    kernel.run("job = %devbox exec --bg sleep 5711").check()
    kernel.run("job.kill()\nr = job.wait()").check()
    assert kernel.value("r.exit_code") == 137
    assert ends(home, "[5]711")


def test_a_handle_sends_input(kernel: Kernel) -> None:
    kernel.run("job = %devbox exec --bg --stdin 'the first' cat").check()
    assert kernel.run("job.wait().stdout").check().results == ["'the first\\n'"]
    kernel.run("job = %devbox exec --bg --stdin - cat").check()
    kernel.run("job.send_stdin('one\\n'); job.send_stdin('two\\n'); job.close_stdin()").check()
    assert kernel.value("job.wait().stdout") == "one\ntwo\n"


def test_stop_ends_the_wait_and_not_the_command(kernel: Kernel) -> None:
    kernel.run("job = %devbox exec --bg sleep 5712").check()
    cell = kernel.begun("job.wait()")
    kernel.interrupt()
    assert kernel.ended(cell).error == "KeyboardInterrupt"
    assert kernel.value("job.done") is False
    assert kernel.run("job.wait(timeout=0.1)").error == "TimeoutError"
    kernel.run("job.kill(); job.wait()").check()


def test_a_failure_in_the_background_is_shown_and_fails_no_other_cell(kernel: Kernel) -> None:
    first = kernel.run("%%devbox exec --bg -o job\nsleep 0.3; exit 4").check()
    kernel.run("x = 1").check()
    kernel.until(lambda: first.displays and "✗ exit code 4" in first.displays[-1], "its end")
    assert kernel.value("job.result.exit_code") == 4


def test_a_devbox_that_dies_is_told_by_the_handle(kernel: Kernel) -> None:
    kernel.run("%devbox create --name brief").check()
    first = kernel.run("job = %devbox exec --bg --on brief sleep 5713").check()
    kernel.run("%devbox shutdown brief\n%devbox use main").check()
    kernel.until(lambda: first.displays and "has been shut down" in first.displays[-1], "its end")
    failed = kernel.run("job.wait()")
    assert (failed.error, "brief" in failed.error_text) == ("DevboxUnavailableError", True)


def test_a_timeout_counts_in_the_background(kernel: Kernel, home: Home) -> None:
    first = kernel.run("%%devbox exec --bg --timeout 1 -o job\nsleep 5714").check()
    kernel.until(lambda: first.displays and "--timeout" in first.displays[-1], "its end")
    assert ends(home, "[5]714")


def test_executions_are_listed(kernel: Kernel) -> None:
    kernel.run("secret = 'hidden-value'\njob = %devbox exec --bg echo {{secret}} >/dev/null; sleep 5715").check()
    shown = kernel.run("%runloop executions").check().results[0]
    assert re.search(r"● running for .* +main +echo \{\{secret\}\} >/dev/null; sleep 5715 +just now", shown)
    assert "hidden-value" not in shown
    kernel.run("table = %runloop executions").check()
    assert kernel.value("table[0].handle is job and table[0].id == job.execution_id") is True
    killed = kernel.run("%devbox kill {{job.execution_id}}").check()
    assert killed.results[0].startswith("Killed ")
    assert kernel.value("job.wait().exit_code") == 137


def test_an_unknown_execution_is_refused(kernel: Kernel) -> None:
    for line in ("%devbox kill nonsense", "%devbox attach nonsense", "%devbox attach --on main nonsense"):
        cell = kernel.run(line)
        assert (cell.error, "'nonsense'" in cell.error_text) == ("UsageError", True), cell.traceback
        assert "\n" not in cell.traceback


def test_a_killed_kernel_leaves_a_command_that_the_next_one_finds(home: Home) -> None:
    load = "%load_ext runloop_jupyter\n"
    with kernels.start(home.env) as kernel:
        kernel.run(load + "%devbox create --name kept --keep").check()
        kernel.run("job = %devbox exec --bg for i in $(seq 5716); do echo tick $i; sleep 0.1; done").check()
        os.kill(kernel.process_id, signal.SIGKILL)
    with kernels.start(home.env) as kernel:
        kernel.run(load + "%devbox use kept").check()
        assert "● running, not attached  kept" in kernel.run("%runloop executions").check().results[0]
        kernel.run("found = %runloop executions").check()
        attached = kernel.send("%devbox attach {{found[0].id}}")
        kernel.shows(attached, "tick 1\n")
        kernel.interrupt()
        kernel.ended(attached)
        assert attached.error == "KeyboardInterrupt"
        assert "left running on kept — %devbox kill " in attached.displays[-1]
        assert remote(home, "pgrep -f '[5]716'", "kept")
        kernel.run("job = %devbox attach --bg {{found[0].id[:20]}}").check()
        kernel.run("job.kill()").check()
        assert kernel.value("job.wait().exit_code") == 137
        assert "not attached" not in kernel.run("%runloop executions").check().results[0]
        kernel.run("%devbox shutdown kept").check()


CELL = """%%devbox python --bg --session {name} -o {name}
import os, time
print("begun")
while not os.path.exists("over"):
    time.sleep(0.05)
{last}
"""


def test_a_python_cell_that_is_taken_up_again_shows_what_it_would_have_shown(home: Home) -> None:
    load = "%load_ext runloop_jupyter\n"
    with kernels.start(home.env) as kernel:
        kernel.run(load + "%devbox create --name snakes --keep").check()
        kernel.run(CELL.format(name="value", last="6 * 7")).check()
        kernel.run(CELL.format(name="failure", last="1 / 0")).check()
        os.kill(kernel.process_id, signal.SIGKILL)
    with kernels.start(home.env) as kernel:
        kernel.run(load + "%devbox use snakes\nfound = %runloop executions").check()
        attached = [kernel.run(f"job{n} = %devbox attach --bg {{{{found[{n}].id}}}}").check() for n in range(2)]
        for cell in attached:
            kernel.shows(cell, "begun\n")
        kernel.run("%devbox exec touch over\n[job0.wait(), job1.wait()]").check()
        kernel.until(lambda: all("exit code" in cell.displays[-1] for cell in attached), "their ends")
        failure, value = attached
        assert value.stdout == failure.stdout == "begun\n"
        assert "42" in value.displays
        assert "ZeroDivisionError" in failure.stderr
        assert "\x1e" not in repr([cell.messages for cell in attached])
        assert kernel.value("job0.result.failure") == "ZeroDivisionError: division by zero (line 6)"
        kernel.run("%devbox shutdown snakes").check()


CLOUD = Connection("https://api.example", "key")
BOX = DevboxInfo("dbx_1", "main", "running", 0)


@pytest.fixture
def execution_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExecutionHistory:
    monkeypatch.setenv("RUNLOOP_JUPYTER_HOME", str(tmp_path / "deep" / "home"))
    return ExecutionHistory(StateFolder(pytest.fail))


def test_the_history_keeps_services_apart_and_survives_a_torn_line(execution_history: ExecutionHistory) -> None:
    execution_history.note(entry(CLOUD, BOX, "one", "ls"))
    first, again = (Connection(f"http://127.0.0.1:{port}", "k", embedded=True, home="/h") for port in (1, 9))
    execution_history.note(entry(first, BOX, "two", "ls"))
    with execution_history.path.open("a") as file:
        file.write('\n{"torn": ')
    older = {name: value for name, value in entry(CLOUD, BOX, "older", "ls")._asdict().items() if name != "word"}
    with execution_history.path.open("a") as file:
        file.write("\n" + json.dumps(older))
    execution_history.note(entry(CLOUD, BOX, "three", "x" * 500))
    assert [each.execution_id for each in execution_history.entries(CLOUD)] == ["three", "older", "one"]
    assert [each.execution_id for each in execution_history.entries(again)] == ["two"]
    assert execution_history.entries(replace(again, home="/other")) == []
    assert execution_history.path.stat().st_mode & 0o777 == 0o600
    assert "key" not in execution_history.path.read_text()


def test_the_history_stays_short(execution_history: ExecutionHistory) -> None:
    for number in range(3000):
        execution_history.note(entry(CLOUD, BOX, f"id{number}", "x" * 100))
    assert execution_history.path.stat().st_size < 300 * 1024
    assert execution_history.entries(CLOUD)[0].execution_id == "id2999"
