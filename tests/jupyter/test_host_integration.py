"""What runs something, in company: other magics, nbclient, Stop at every stage, a restart."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from tests.jupyter import kernels
from tests.jupyter.embedded import Home
from tests.jupyter.remote import ends

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jupyter.kernels import Kernel

CELLS = {
    "exec": "%%devbox exec\necho begun; sleep 9711",
    "exec in a shell": "%%devbox exec --shell s\necho begun; sleep 9711",
    "exec with input": "%%devbox exec --stdin 'two words'\necho begun; sleep 9711",
    "exec on all": "%%devbox exec --on 'ma*'\necho begun; sleep 9711",
    "exec as JSON": "%%devbox exec --json\necho begun >&2; sleep 9711",
    "the last lines": "%%devbox exec --tail 3\necho begun; sleep 9711",
    "script": "%%devbox script --proc sh\necho begun; sleep 9711",
    "python": "%%devbox python\nimport os; print('begun'); os.system('sleep 9711')",
    "python on all": "%%devbox python --on 'ma*'\nimport os; print('begun'); os.system('sleep 9711')",
}


@pytest.mark.parametrize("code", CELLS.values(), ids=CELLS)
def test_stop_ends_what_runs(kernel: Kernel, home: Home, code: str) -> None:
    cell = kernel.send(code)
    kernel.until(lambda: "begun" in cell.stdout + cell.stderr + str(cell.displays), "its beginning")
    kernel.interrupt()
    kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt", cell.traceback
    assert "\n" not in cell.traceback
    assert ends(home, "[s]leep 9711")
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"


@pytest.mark.parametrize(
    "code",
    [
        "%devbox exec echo 1; : 9712",
        "%%devbox exec --on 'ma*'\n: 9712",
        "%%devbox exec --bg\n: 9712",
        "%%devbox python\n9712",
        "%%devbox write /tmp/9712\nx",
        "%%devbox script --proc sh\n: 9712",
        "%runloop executions",
        "%devbox attach 9712",
    ],
)
def test_stop_while_the_service_does_not_answer(kernel: Kernel, home: Home, code: str) -> None:
    with home.silent():
        cell = kernel.begun(code)
        kernel.interrupt()
        kernel.listen(0.3)
        kernel.interrupt()
        kernel.ended(cell)
    assert cell.error == "KeyboardInterrupt", cell.traceback
    assert "\n" not in cell.traceback
    assert kernel.run("%devbox exec echo next").check().stdout == "next\n"


TWO_SECONDS = re.compile(r"\b([2-9]|[1-9]\d)(\.\d)? s\b")  # or more, on a machine that is busy


@pytest.mark.parametrize(
    "code",
    [
        "%devbox exec --on main echo hi",
        "%devbox exec echo hi",
        "%devbox exec --quiet --on main echo hi",
        "%devbox exec --on 'ma*' echo hi",
        "%devbox attach nothing",
        "%runloop executions",
        "%%devbox write hi\nhi",
    ],
)
def test_a_wait_says_so_after_two_seconds(kernel: Kernel, home: Home, code: str) -> None:
    with home.silent():
        cell = kernel.send(code)
        kernel.until(lambda: TWO_SECONDS.search("".join(m.text for m in cell.messages)), "a word of the wait")
    kernel.ended(cell)


def test_time_wraps_every_kind(kernel: Kernel) -> None:
    for code in ("%%devbox exec\necho x", "%%devbox script --proc sh\necho x", "%%devbox python\nprint('x')"):
        cell = kernel.run(f"%%time\n{code}").check()
        assert cell.stdout.startswith("x\n")
        assert "Wall time" in cell.stdout
        captured = kernel.run(f"%%capture c\n{code}").check()
        assert captured.messages == []
        assert kernel.value("c.stdout") == "x\n"


NOTEBOOK = (
    "%load_ext runloop_jupyter\n%devbox create --name batch",
    "n = 3",
    "%%devbox exec --out text\necho plain {{n}}",
    "%%devbox exec --on all\necho each",
    "%%devbox exec --bg -o job\nsleep 0.5; echo later",
    "%%devbox python --in n --out m\nm = n * 2\nm",
    "assert (text, m, job.wait().stdout) == ('plain 3\\n', 6, 'later\\n')",
    "%devbox exec -i read x",
)


def test_a_notebook_runs_without_a_person_and_can_be_published(home: Home, tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in NOTEBOOK])
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True)
    client.execute(cwd=str(tmp_path), env={**os.environ, **home.env})
    errors = [[out for out in cell.outputs if out.output_type == "error"] for cell in notebook.cells]
    assert [len(each) for each in errors] == [0] * 7 + [1]
    assert "nobody can answer" in errors[-1][0].evalue
    streams = ["".join(out.text for out in cell.outputs if out.output_type == "stream") for cell in notebook.cells]
    assert streams[2] == "plain 3\n"
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "exit code 0" in page
    assert home.endpoint["api_key"] not in page + nbformat.writes(notebook)


def test_a_restarted_kernel_finds_its_devbox_and_its_python_again(home: Home) -> None:
    load = "%load_ext runloop_jupyter\n"
    with kernels.start(home.env) as kernel:
        kernel.run(load + "%devbox create --name stays --keep").check()
        kernel.run("%%devbox python\nkept = 'kept'").check()
        kernel.restart()
        kernel.run(load + "%devbox use stays").check()
        assert "kept" in str(kernel.run("%%devbox python\nkept").check().displays)
        kernel.run("%devbox shutdown stays").check()
