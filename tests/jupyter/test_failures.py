"""A devbox that fails says why where the user looks: in the cell, in its card, in the panel."""

from __future__ import annotations

from typing import Any

import pytest

from runloop_jupyter.resource_panel.details import facts
from runloop_jupyter.resources.devboxes import DevboxInfo, unavailable
from runloop_jupyter.resources.kinds import KINDS
from runloop_jupyter.resources.specs import Fact
from tests.jupyter.kernels import Kernel, fails

BOMB = "python3 -c 'a = [bytearray(16 << 20) for _ in range(1000)]'"
MEMORY = ("The devbox needed more than its 1 GB of memory", "out_of_memory")


def test_a_devbox_that_does_not_come_up_says_why(kernel: Kernel) -> None:
    code = "%devbox create broken --run 'echo no >&2; exit 7'"
    words = ("broken (dbx_", "'echo no >&2; exit 7' ended with exit status 7", "execution_failed", "%devbox logs dbx_")
    fails(kernel, kernel.run(code), "DevboxUnavailableError", *words)
    card = kernel.run("%devbox info broken").check().results[0]
    assert "ended with exit status 7 (execution_failed)" in card
    for again in ("%devbox exec --on broken ls", "%devbox use broken", "%devbox resume broken"):
        fails(kernel, kernel.run(again), "DevboxUnavailableError", "ended with exit status 7")
    assert kernel.run("%devbox exec echo fine").check().stdout == "fine\n"  # the current devbox is the one it was
    assert "no" in kernel.run("%devbox logs broken").check().stdout


@pytest.mark.parametrize(
    "code",
    ["%%devbox exec --on {}\n" + BOMB, "%%devbox python --on {}\na = [bytearray(16 << 20) for _ in range(1000)]"],
    ids=["exec", "python"],
)
def test_a_devbox_that_fails_under_a_command_says_why(kernel: Kernel, code: str) -> None:
    kernel.run("%devbox create greedy --size x_small").check()
    cell = kernel.run(code.format("greedy"))
    fails(kernel, cell, "DevboxUnavailableError", "greedy", *MEMORY)
    kernel.run("%devbox use main").check()


def test_a_devbox_that_fails_in_the_background_says_why_where_its_output_is(kernel: Kernel) -> None:
    kernel.run("%devbox create greedy2 --size x_small").check()
    cell = kernel.run(f"job = %devbox exec --bg --on greedy2 {BOMB}").check()
    kernel.until(lambda: MEMORY[0] in str(cell.displays), "the reason")
    fails(kernel, kernel.run("job.wait()"), "DevboxUnavailableError", *MEMORY)
    kernel.run("%devbox use main").check()


def test_a_devbox_that_fails_among_several_says_why(kernel: Kernel) -> None:
    kernel.run("%devbox create greedy3 --size x_small\n%devbox use main").check()
    fails_there = f'case $(hostname) in "$BAD"*) {BOMB};; esac'
    kernel.run("boxes = %devbox list").check()
    kernel.run("bad = next(box.id for box in boxes if box.name == 'greedy3')").check()
    code = f"%%devbox exec --on greedy3 --on main --env BAD={{{{bad}}}} -o all\n{fails_there}"
    cell = kernel.run(code)
    assert cell.status == "error"
    assert MEMORY[0] in str(cell.displays) + cell.traceback + cell.stdout


@pytest.mark.parametrize(
    ("status", "why", "sentence"),
    [
        ("failure", "it broke (execution_failed)", "web (dbx_1) has failed: it broke (execution_failed). %devbox logs"),
        ("failure", "", "web (dbx_1) has failed. %devbox logs"),
        ("shutdown", "nobody used it (idle)", "web (dbx_1) has been shut down: nobody used it (idle). Choose another"),
        ("shutdown", "", "web (dbx_1) has been shut down. Choose another"),
        ("suspended", "service restarted", "web (dbx_1) is suspended: service restarted. Wake it: %devbox resume web"),
        ("suspended", "", "web (dbx_1) is suspended. Wake it"),
        ("suspending", "", "web (dbx_1) is suspending. Wake it"),
    ],
)
def test_what_keeps_a_devbox_from_running_commands(status: str, why: str, sentence: str) -> None:
    assert str(unavailable(DevboxInfo("dbx_1", "web", status, 0, why=why))).startswith(sentence)


FAILED: dict[str, Any] = {
    "id": "dbx_1",
    "name": "web",
    "status": "failure",
    "failure_reason": "execution_failed",
    "state_transitions": [{"status": "failure", "transition_time_ms": 1, "failure_reason": "It broke."}],
}


def test_the_panel_says_it_in_its_table_and_in_its_details() -> None:
    row = KINDS["devbox"].row(FAILED)
    assert row is not None
    assert KINDS["devbox"].value(row, "reason") == "It broke (execution_failed)"
    assert Fact("Why it failed", "It broke (execution_failed)", "text") in list(facts(KINDS["devbox"], FAILED))
    odd = {**FAILED, "state_transitions": ["x"], "failure_reason": {"a": 1}}
    assert KINDS["devbox"].row(odd) is not None
