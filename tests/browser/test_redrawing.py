"""Lines that a program draws anew, and questions of a terminal, in JupyterLab and in the file that it saves."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

from runloop_jupyter.output.terminal_text import without_colours
from tests.browser.lab import Notebook
from tests.browser.test_running import KERNEL, run
from tests.waiting import wait_until

FRAMES = r"""
echo before
for n in 1 2 3 4 5 6 7 8 9; do
  [ $n = 1 ] || printf '\033[3A'
  for i in a b c; do printf '\033[2K\033[32mlayer %s\033[0m %s\n' $i $n; done
  sleep 0.5
done
echo after"""
DRAWN = ["before", "layer a 9", "layer b 9", "layer c 9", "after"]
WATCH = """cell => {
    const seen = { frames: new Set(), most: 0 };
    const look = () => {
        const lines = cell.textContent.match(/layer [abc] \\d/g) || [];
        seen.frames.add(lines[0]);
        seen.most = Math.max(seen.most, lines.length);
    };
    new MutationObserver(look).observe(cell, { childList: true, characterData: true, subtree: true });
    return seen;
}"""
CELLS = [
    "%load_ext runloop_jupyter\n%devbox create --name drawn",
    "%%devbox exec --tty" + FRAMES,
    "%%devbox exec -i\nread -p 'your name? ' name; read -s -p 'password: ' word; echo got $name ${#word}",
]


@pytest.fixture
def notebook(lab: str, lab_folder: Path, page: Page) -> Notebook:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), lab_folder / "redrawing.ipynb")
    return Notebook(page, lab, "redrawing.ipynb")


def test_a_terminal_in_a_cell(notebook: Notebook, lab_folder: Path) -> None:
    run(notebook, 0)
    notebook.wait_for_output(0, "Created drawn")
    cell = notebook.cell(1)
    seen = cell.evaluate_handle(WATCH)
    run(notebook, 1)
    notebook.wait_for_output(1, "exit code 0")
    assert seen.evaluate("seen => [seen.frames.size > 2, seen.most]") == [True, 3]
    assert notebook.outputs()[1].splitlines()[:-1] == DRAWN
    assert cell.locator(".ansi-green-fg").count() == 3
    run(notebook, 2)
    for question, kind, answer in (("your name?", "text", "Ada"), ("password:", "password", "hush")):
        box = notebook.page.locator(".jp-Stdin", has_text=question).locator(".jp-Stdin-input")
        assert box.evaluate("box => box.type") == kind
        box.fill(answer)
        box.press("Enter")
    notebook.wait_for_output(2, "got Ada 4")
    assert "hush" not in notebook.outputs()[2]
    notebook.menu("File", "Save Notebook")
    outputs = saved(lab_folder / "redrawing.ipynb", "got Ada 4")
    assert len(outputs[1]) == 2
    assert without_colours(outputs[1][0]["data"]["text/plain"]).splitlines() == DRAWN
    assert "hush" not in str(outputs)


def saved(file: Path, text: str) -> list[list[nbformat.NotebookNode]]:
    """The outputs of each cell in a file, once it is written and has a text."""

    def is_written() -> bool:
        written = file.read_text()
        return text in written and written.endswith("}\n")

    wait_until(is_written, "the notebook to be saved")
    return [cell.outputs for cell in nbformat.read(file, as_version=4).cells]
