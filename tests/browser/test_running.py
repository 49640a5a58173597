"""Fan-out, background, dialogue and Python cells in JupyterLab, as a user sees them."""

import os
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Notebook, momentary

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
TABLE = """%%devbox python
class Table:
    def _repr_html_(self):
        rows = "".join(f"<tr><td>{n}</td><td>{n * n}</td></tr>" for n in range(3))
        return f"<table class='dataframe'><tr><th>n</th><th>n²</th></tr>{rows}</table>"
class Plot:
    def _repr_html_(self):
        return "<div id=p></div><script>p.textContent = 'drawn by ' + 'script'; parent.hacked = true</script>"
class Drawing:
    def _repr_svg_(self):
        size = "width='60' height='30'"
        return f"<svg xmlns='http://www.w3.org/2000/svg' {size}><rect {size} fill='teal'/></svg>"
display(Drawing(), Plot())
Table()"""
CELLS = [
    "%load_ext runloop_jupyter\nfor n in range(1, 6):\n    %devbox create --name web-{{n}}",
    "%%devbox exec --on 'web-*' --no-raise-error\nn=$(hostname | tr -cd 0-9)\n"
    "for i in 1 2 3; do echo step $i; sleep 1.5; done; [ $((RANDOM % 2)) = 0 ]",
    "%%devbox exec --bg -o job\nfor i in 1 2 3 4 5; do echo tick $i; sleep 0.5; done",
    "%%devbox exec -i\nprintf 'Your name? '; read name; echo hello $name",
    TABLE,
    "%%devbox python\ndef f(x):\n    return 1 / x\nf(0)",
    "%runloop executions",
    "r = %devbox exec --quiet --on 'web-*' uname -r\nr",
]


@pytest.fixture
def notebook(lab: str, lab_folder: Path, page: Page) -> Notebook:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), lab_folder / "running.ipynb")
    return Notebook(page, lab, "running.ipynb")


def run(notebook: Notebook, index: int) -> None:
    notebook.cell(index).locator(".cm-content").click()
    notebook.page.keyboard.press("Control+Enter")


def test_what_runs_shows_as_it_should(notebook: Notebook) -> None:
    page = notebook.page
    page.set_viewport_size({"width": 1200, "height": 3000})
    run(notebook, 0)
    with momentary(notebook.cell(1), "● running"):
        run(notebook, 1)
    notebook.wait_for_output(1, "web-5 │ step 3")
    expect(notebook.cell(1).locator(".runloop-view td", has_text="web-3").first).to_be_visible()
    run(notebook, 2)
    run(notebook, 3)
    box = page.locator(".jp-Stdin-input")
    expect(page.locator(".jp-Stdin-prompt")).to_contain_text("Your name?")
    box.fill("Ada")
    box.press("Enter")
    notebook.wait_for_output(3, "hello Ada")
    notebook.wait_for_output(2, "tick 5")
    notebook.wait_for_output(2, "exit code 0")
    run(notebook, 4)
    notebook.wait_for_output(4, "n²")
    expect(page.frame_locator("iframe[sandbox]").frame_locator("iframe").locator("#p")).to_have_text("drawn by script")
    assert page.evaluate("window.hacked") is None
    drawing = notebook.cell(4).locator("img[src^='data:image/svg+xml']")
    assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") == 60
    run(notebook, 5)
    notebook.wait_for_output(5, "ZeroDivisionError: division by zero (line 3) on web-5")
    for index in (6, 7):  # not before: a failed cell takes those with it that wait
        run(notebook, index)
    notebook.wait_for_output(7, "all 5 succeeded")
    assert "tick" in notebook.outputs()[6]
    if "SCREENSHOT" in os.environ:
        page.screenshot(path=os.environ["SCREENSHOT"])
