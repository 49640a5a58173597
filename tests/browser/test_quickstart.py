"""The quickstart notebook as a newcomer runs it: JupyterLab, Run All, read."""

from playwright.sync_api import Page

from tests.browser.lab import Notebook


def test_run_all_shows_the_streamed_output_of_every_cell(lab: str, page: Page) -> None:
    notebook = Notebook(page, lab, "quickstart.ipynb")
    notebook.run_all()
    outputs = notebook.outputs()
    assert "Created quickstart" in outputs[1]
    assert "working on part 3 of 3 ..." in outputs[2]
    assert "and this line went to stderr" in outputs[2]
    assert "exit code 0" in outputs[2]
    assert "darts.py" in outputs[3]
    assert "100%  π ≈ 3.14" in outputs[4]
    assert outputs[4].count("%") == 1, "a progress bar that is drawn with \\r is one line"
    assert "exit code 0" in outputs[6]
    assert "exit code 2" in outputs[7]
    assert "running" in outputs[8]
    assert "Shut down quickstart" in outputs[9]
