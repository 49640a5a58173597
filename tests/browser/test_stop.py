"""Stop and Restart in JupyterLab, as a user presses them."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

from tests.browser.lab import Notebook

COUNT = "%%devbox exec\nfor n in $(seq 100000); do echo line $n; sleep 0.05; done"
CELLS = ["%load_ext runloop_jupyter", COUNT, "%%devbox exec\npgrep -fc '[s]eq 1000'; echo still here"]


@pytest.fixture
def notebook(lab: str, lab_folder: Path, page: Page) -> Notebook:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), lab_folder / "stop.ipynb")
    return Notebook(page, lab, "stop.ipynb")


KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def test_stop_ends_the_command_and_the_next_cell_works(notebook: Notebook) -> None:
    notebook.menu("Run", "Run All Cells")
    notebook.wait_for_output(1, "line 5\n")
    notebook.page.locator('[data-command="notebook:interrupt-kernel"], [title^="Interrupt the kernel"]').first.click()
    notebook.wait_until_finished()
    assert "stopped" in notebook.outputs()[1]
    assert "line 100000" not in notebook.outputs()[1]
    notebook.cell(2).click()
    notebook.page.keyboard.press("Shift+Enter")
    notebook.wait_for_output(2, "still here")
    assert notebook.outputs()[2].startswith("0\nstill here")


def test_restart_in_the_middle_of_a_cell_begins_anew(notebook: Notebook) -> None:
    notebook.menu("Run", "Run All Cells")
    notebook.wait_for_output(1, "line 5\n")
    notebook.menu("Kernel", "Restart Kernel…")
    notebook.page.locator(".jp-Dialog-button.jp-mod-accept").click()
    notebook.wait_until_finished()
    notebook.cell(0).click()
    notebook.page.keyboard.press("Shift+Enter")
    notebook.cell(2).click()
    notebook.page.keyboard.press("Shift+Enter")
    notebook.wait_for_output(2, "still here")
    assert "0\nstill here" in notebook.outputs()[2]
    assert "No devbox" in notebook.outputs()[2], "the devbox of the kernel that ended is not used again"
