"""Notebooks that nobody watches: run by papermill and by nbconvert, with what they leave behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.jupyter.embedded import Home

pytestmark = pytest.mark.kernel

CREATE = "%load_ext runloop_jupyter\n%devbox create --name {}"
PRINT = "%%devbox exec -o result\necho {{word}} >&2; echo 'in the devbox'"
FAIL = "%%devbox exec\necho before; exit 3"
NEVER = "print('never ' 'printed')"
SENTENCE = re.compile(r"DevboxCommandError(\x1b\[0m)?: exit code 3 after [\d.]+ s on (\w+) \(dbx_\w+\)\.")


def notebook(folder: Path, *cells: str) -> Path:
    """A notebook of these cells; the first holds papermill's parameters."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, folder / "in.ipynb")
    return folder / "in.ipynb"


def run(home: Home, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A program of this Python, its warnings errors, in `folder`."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *command],
        cwd=folder,
        env={**os.environ, **home.env},
        capture_output=True,
        text=True,
        check=False,
    )


def papermill(home: Home, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(home, folder, "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar", *options)


def nbconvert(home: Home, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(home, folder, "nbconvert", "--execute", "in.ipynb", "--output", "out", *options)


def written(folder: Path) -> NotebookNode:
    book: NotebookNode = nbformat.read(folder / "out.ipynb", as_version=4)
    return book


def texts(book: NotebookNode) -> str:
    """What all cells show, as text."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return "".join(each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs)


def test_papermill_gives_cells_their_parameters(home: Home, tmp_path: Path) -> None:
    notebook(
        tmp_path, "word = 'none'", CREATE.format("given"), PRINT, "print(repr(result.stdout), result.duration > 0)"
    )
    ran = papermill(home, tmp_path, "-p", "word", "milled")
    assert ran.returncode == 0, ran.stderr
    shown = texts(written(tmp_path))
    assert "milled\n" in shown
    assert "'in the devbox\\n' True" in shown
    home.ends("given")  # what the kernel created ends with it


def assert_one_sentence(ran: subprocess.CompletedProcess[str], box: str) -> None:
    """It failed with what the devbox said, and with no traceback of the magics."""
    assert ran.returncode == 1
    assert [name for _, name in SENTENCE.findall(ran.stderr)] == [box], ran.stderr
    assert "\n" not in ran.stderr[ran.stderr.index("DevboxCommandError") :].strip(), "the sentence is the end"
    assert "commands/devbox" not in ran.stderr


def test_a_failing_cell_stops_papermill_which_keeps_what_came_before(home: Home, tmp_path: Path) -> None:
    notebook(tmp_path, "word = 'none'", CREATE.format("milled"), FAIL, NEVER)
    assert_one_sentence(papermill(home, tmp_path), "milled")
    shown = texts(written(tmp_path))
    assert "before\n" in shown
    assert "never printed" not in shown
    home.ends("milled")  # what the kernel created ends with it


def test_a_failing_cell_stops_nbconvert(home: Home, tmp_path: Path) -> None:
    notebook(tmp_path, "word = 'none'", CREATE.format("converted"), FAIL, NEVER)
    assert_one_sentence(nbconvert(home, tmp_path, "--to", "notebook"), "converted")
    assert not (tmp_path / "out.ipynb").exists()
    home.ends("converted")  # what the kernel created ends with it


def test_a_question_that_nobody_can_answer_fails_and_says_what_to_add(home: Home, tmp_path: Path) -> None:
    notebook(tmp_path, CREATE.format("asked"), "%devbox shutdown --all")
    ran = nbconvert(home, tmp_path, "--to", "notebook")
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("Add --yes to do it without a question.")


def test_a_page_of_an_executed_notebook_shows_cards_tables_and_the_panel_as_html(home: Home, tmp_path: Path) -> None:
    verbs = ("%devbox list", "%devbox info", "%runloop blueprint list", "%runloop panel", "%runloop")
    notebook(tmp_path, CREATE.format("paged"), *verbs)
    ran = nbconvert(home, tmp_path, "--to", "html")
    assert ran.returncode == 0, ran.stderr
    page = (tmp_path / "out.html").read_text()
    body = page[page.index("<main") :]
    shown = dict(zip(verbs, body.split('<div class="jp-Cell jp-CodeCell')[2:], strict=True))
    for verb in ("%devbox list", "%devbox info", "%runloop panel", "%runloop"):
        assert re.search(r"<table.*paged.*</table>", shown[verb], re.DOTALL), verb
    assert "No blueprints. Build one:" in shown["%runloop blueprint list"]
    assert "widget-view+json" not in body, "a page without a kernel has no use for an empty widget"
