"""%runloop, %devbox and %%devbox in a real kernel, on the real embedded service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.kernels import Kernel
from tests.jupyter.remote import remote

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def loaded(home: Home) -> Iterator[Kernel]:
    with kernels.start(home.env) as started:
        started.run("%load_ext runloop_jupyter\n%devbox create --name main").check()
        yield started


@pytest.fixture
def kernel(loaded: Kernel) -> Kernel:
    """The module's kernel, with the devbox `main` as the current one."""
    loaded.run("%devbox use main").check()
    return loaded


def test_output_comes_in_order_with_a_line_about_the_end(kernel: Kernel, home: Home) -> None:
    wait = "until [ -e {} ]; do sleep 0.05; done"
    remote(home, "rm -f 1 2")
    cell = kernel.send(f"%%devbox exec\necho one; {wait.format(1)}\necho two >&2; {wait.format(2)}\necho three")
    for number, shown in ((1, "one\n"), (2, "two\n")):
        kernel.shows(cell, shown)
        remote(home, f"touch {number}")
    kernel.ended(cell).check()
    assert [(o.content["name"], o.text) for o in cell.messages if o.kind == "stream"] == [
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", "three\n"),
    ]
    assert re.fullmatch(r"✓ exit code 0 · \d.* s · main", cell.displays[-1])
    assert cell.results == []


def test_output_is_shown_while_the_command_runs(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec\necho early; until [ -e go ]; do sleep 0.05; done; echo late")
    kernel.shows(cell, "early")
    remote(home, "touch go")
    assert kernel.ended(cell).check().stdout == "early\nlate\n"


def test_a_line_shows_its_result_only_when_it_is_not_assigned(kernel: Kernel) -> None:
    shown = kernel.run("%devbox exec echo hello").check()
    assert shown.stdout == "hello\n"
    assert shown.results[0].startswith("✓ exit code 0")
    assigned = kernel.run("r = %devbox exec echo hello").check()
    assert (assigned.stdout, assigned.results, assigned.displays) == ("hello\n", [], [])
    assert kernel.value("(r.stdout, r.success, r.devbox_id[:4])") == ("hello\n", True, "dbx_")


def test_a_failing_command_fails_the_cell_with_one_line(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec\necho reason >&2\nexit 3")
    assert (cell.status, cell.error) == ("error", "DevboxCommandError")
    assert "exit code 3" in cell.traceback
    assert "\n" not in cell.traceback
    assert "reason" not in cell.traceback
    assert cell.displays[-1].startswith("✗ exit code 3")


def test_a_failing_command_may_be_let_pass(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --no-raise-error -o r\nexit 3").check()
    assert kernel.value("(r.exit_code, r.success)") == (3, False)


def test_the_error_holds_the_result(kernel: Kernel) -> None:
    kernel.run(
        "try:\n    get_ipython().run_line_magic('devbox', 'exec echo x; exit 4')\nexcept Exception as e: r = e.result",
    )
    assert kernel.value("(r.exit_code, r.stdout)") == (4, "x\n")


def test_variables_get_the_output_even_of_a_failing_command(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --out o --err e -o r\necho out; echo err >&2; exit 1")
    assert kernel.value("(o, e, sorted(r.output))") == ("out\n", "err\n", sorted("out\nerr\n"))


def test_quiet_shows_nothing(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --quiet --out o\necho out; echo err >&2").check()
    assert cell.messages == []
    assert kernel.value("o") == "out\n"


def test_a_timeout_kills_the_command(kernel: Kernel, home: Home) -> None:
    begun = time.monotonic()
    cell = kernel.run("%%devbox exec --timeout 1s -o r\necho begun; sleep 4150.5")
    assert time.monotonic() - begun > 0.9
    assert cell.error == "DevboxTimeoutError"
    assert "--timeout 1 s" in cell.traceback
    assert remote(home, "pgrep -f '[s]leep 4150.5'; true") == ""
    assert kernel.value("r.stdout") == "begun\n"


def test_directory_and_variables_apply_to_one_command(kernel: Kernel) -> None:
    assert kernel.run("%%devbox exec --cwd /tmp --env 'A=x  y' --env B=$C\npwd; echo \"$A|$B\"").check().stdout == (
        "/tmp\nx  y|$C\n"
    )
    assert kernel.run('%devbox exec pwd; echo "$A"').check().stdout == "/home/user\n\n"


def test_a_named_shell_remembers_directory_and_variables(kernel: Kernel) -> None:
    kernel.run("%%devbox exec --shell s\nmkdir -p deep && cd deep\nexport KEPT=1").check()
    assert kernel.run("%%devbox exec --shell s\npwd; echo $KEPT").check().stdout == "/home/user/deep\n1\n"


def test_expressions_are_filled_in(kernel: Kernel) -> None:
    kernel.run("name, n = 'a b', 3").check()
    assert kernel.run("%%devbox exec\necho '{{name}}' {{n * 2}} $HOME {n}").check().stdout == "a b 6 /home/user {n}\n"
    assert kernel.run("%%devbox exec --template off\necho '{{name}}'").check().stdout == "{{name}}\n"
    looped = "def f():\n    for i in range(2): get_ipython().run_line_magic('devbox', 'exec echo {{i}}')\nf()"
    assert kernel.run(looped).check().stdout == "0\n1\n"


def test_a_character_split_between_reads_arrives_whole(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec --out o\nprintf 'a\\xe2'; sleep 0.3; printf '\\x82'; sleep 0.3; printf '\\xacb'")
    assert cell.stdout == "a€b"
    assert kernel.value("o") == "a€b"


def test_twenty_megabytes_are_shown_in_part_and_kept_whole(kernel: Kernel) -> None:
    cell = kernel.run("%%devbox exec -o big\nseq 1 2600000").check()
    assert sum(len(o.text) for o in cell.messages) < 2_000_000
    assert "2600000\n" in cell.stdout
    expected = "big.stdout == ''.join(f'{i}\\n' for i in range(1, 2600001))"
    assert kernel.value(expected)


def test_a_silent_command_says_that_it_runs(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec\nuntil [ -e seen ]; do sleep 0.05; done")
    kernel.shows(cell, "— Stop to kill")
    remote(home, "touch seen")
    kernel.ended(cell).check()
    assert any(re.fullmatch(r"running \d+\.\d s on main — Stop to kill", o.text) for o in cell.messages)
    assert [text for text in cell.displays if text] == [cell.displays[-1]]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("while :; do echo tick; sleep 0.05; done; : MARK", id="in the middle of a stream"),
        pytest.param("trap '' TERM INT; while :; do echo tick; sleep 0.05; done; : MARK", id="ignores SIGTERM"),
        pytest.param("echo tick; (sleep 4217; : MARK) & sleep 4217; : MARK", id="with children"),
    ],
)
def test_stop_kills_the_remote_process(kernel: Kernel, home: Home, command: str) -> None:
    cell = kernel.send(f"%%devbox exec\n{command}")
    kernel.shows(cell, "tick")
    kernel.interrupt()
    kernel.ended(cell)
    assert (cell.status, cell.error) == ("error", "KeyboardInterrupt")
    assert "\n" not in cell.traceback
    assert cell.displays[-1].startswith("✗ stopped and killed")
    assert remote(home, "pgrep -f '[M]ARK|[s]leep 4217'; true") == ""
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"


def test_a_second_stop_gives_up_on_a_kill_that_hangs(kernel: Kernel, home: Home) -> None:
    cell = kernel.send("%%devbox exec\necho begun; sleep 4218")
    kernel.shows(cell, "begun")
    with home.silent():
        kernel.interrupt()
        kernel.listen(0.5)
        assert cell.status == ""  # it waits for the kill
        kernel.interrupt()
        kernel.ended(cell)
        assert cell.error == "KeyboardInterrupt"
        assert "stopped and killed" not in str(cell.displays)
        assert kernel.value("1 + 1") == 2
    kernel.run("%devbox exec --no-raise-error pkill -f '[s]leep 4218'").check()


def test_ten_queued_cells_run_in_order(kernel: Kernel) -> None:
    cells = [kernel.send(f"%%devbox exec\nsleep 0.05; echo cell {i}") for i in range(10)]
    for number, cell in enumerate(cells):
        kernel.ended(cell)
        assert (cell.status, cell.stdout) == ("ok", f"cell {number}\n")


def test_it_works_below_time_and_capture(kernel: Kernel) -> None:
    timed = kernel.run("%%time\n%devbox exec echo timed").check()
    assert timed.stdout.startswith("timed\n")
    assert "Wall time" in timed.stdout
    captured = kernel.run("%%capture c\n%devbox exec echo out; echo err >&2").check()
    assert [o for o in captured.messages if o.kind == "stream"] == []
    assert kernel.value("(c.stdout, c.stderr)") == ("out\n", "err\n")


def test_another_devbox_can_be_named_for_one_command(kernel: Kernel) -> None:
    kernel.run("%devbox create --name other --env WHO=other\n%devbox use main").check()
    assert kernel.run("%devbox exec --on oth echo $WHO").check().stdout == "other\n"
    assert kernel.run("%devbox exec echo x$WHO").check().stdout == "x\n"
    kernel.run("%devbox shutdown other").check()


def test_a_devbox_goes_through_its_life(kernel: Kernel, home: Home) -> None:
    made = kernel.run("box = %devbox create life --metadata k=v --keep-alive 20m\nbox").check()
    assert re.fullmatch(r"Created life \(dbx_\w+\) in .* s: it is running and the current devbox\.", made.results[0])
    kernel.run("%devbox exec echo here > file").check()
    assert "Suspended life" in kernel.run("%devbox suspend").check().results[0]
    assert home.statuses()["life"] == "suspended"
    refused = kernel.run("%devbox exec ls")
    assert (refused.error, "%devbox resume life" in refused.traceback) == ("DevboxUnavailableError", True)
    assert "Resumed life" in kernel.run("%devbox resume").check().results[0]
    assert kernel.run("%devbox exec cat file").check().stdout == "here\n"
    card = kernel.run("%devbox info").check().results[0]
    assert re.search(r"keep-alive +20 min", card)
    assert re.search(r"metadata +k=v", card)
    assert re.search(r"owner +this notebook\nends +with this kernel\n", card)
    assert "Shut down life" in kernel.run("%devbox shutdown {{box.id}}").check().results[0]
    assert home.statuses()["life"] == "shutdown"


def test_the_list_marks_the_current_devbox_and_leaves_out_ended_ones(kernel: Kernel) -> None:
    kernel.run("%devbox create --name ended\n%devbox shutdown\n%devbox use main").check()
    cell = kernel.run("%devbox list").check()
    assert re.search(r"→ +main +dbx_\w+ +● running", cell.results[0])
    assert "ended" not in cell.results[0]
    assert "<table>" in cell.messages[-1].content["data"]["text/html"]
    assert re.search(
        r"ended +dbx_\w+ +○ shutdown \(api_shutdown\)", kernel.run("%devbox list --all").check().results[0]
    )
    kernel.run("boxes = %devbox list").check()
    assert "main" in kernel.value("[box.name for box in boxes]")


def test_runloop_says_what_it_is_connected_to(kernel: Kernel, home: Home) -> None:
    cell = kernel.run("%runloop").check()
    assert f"the embedded service on this machine, {home.endpoint['base_url']} (isolation: " in cell.results[0]
    assert "→  main" in cell.results[0]
    assert "%%devbox exec runs the whole cell" in cell.results[0]
    assert home.endpoint["api_key"] not in str(cell.messages)


def test_help_is_printed_and_does_not_end_the_kernel(kernel: Kernel) -> None:
    assert "usage: %devbox exec [options] COMMAND" in kernel.run("%devbox exec --help").check().stdout
    assert "%devbox create" in kernel.run("%devbox").check().stdout


def test_it_works_in_terminal_ipython(home: Home) -> None:
    script = "\n".join(
        [
            "%load_ext runloop_jupyter",
            "%devbox create --name terminal",
            "r = %devbox exec echo hello; echo oops >&2",
            "r.stdout",
            "%devbox exec exit 3",
            "%devbox exec echo still here",
        ]
    )
    ended = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor"],
        input=script + "\n",
        env={**os.environ, **home.env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hello\n" in ended.stdout
    assert "'hello\\n'" in ended.stdout
    assert "exit code 3" in ended.stdout + ended.stderr
    assert "still here\n" in ended.stdout
    home.becomes("terminal", "shutdown")


def test_without_a_devbox_one_is_created(kernel: Kernel, home: Home) -> None:
    with kernels.start(home.env) as other:
        cell = other.run("%load_ext runloop_jupyter\n%devbox exec echo hello").check()
        first, created, output = cell.stdout.splitlines()
        assert first == (
            f"Using the embedded service on this machine (isolation: {home.endpoint['isolation']}). "
            "Its devboxes have this machine's own userland. Set RUNLOOP_API_KEY to use Runloop's cloud."
        )
        assert re.fullmatch(
            r"No devbox was chosen: created notebook-\w+ \(dbx_\w+\). It ends with this kernel.", created
        )
        assert output == "hello"
        assert other.run("%devbox exec echo again").check().stdout == "again\n"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ("", "-o NAME keeps all of it in a variable"),
        ("-o flood", "flood.output has all of it"),
        ("--out flood", "flood has all of stdout"),
    ],
)
def test_line_for_what_is_not_shown_says_where_all_of_it_is(kernel: Kernel, options: str, where: str) -> None:
    cell = kernel.run(f"%%devbox exec {options}\nseq 1 30000").check()
    assert f"lines not shown; {where}" in cell.stdout
