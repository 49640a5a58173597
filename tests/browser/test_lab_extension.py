"""Our extension of JupyterLab, the newest and the oldest that is supported, and of Notebook 7."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import LAB, FrontEnd, Notebook, serve_lab
from tests.browser.panels import axe, write
from tests.environments import ROOT, environment
from tests.waiting import wait_until

OLDEST = "4.4"
NOTEBOOK = FrontEnd(module="notebook", path="notebooks")
CELLS = {
    "exec": "%%devbox exec --timeout 10m -o 'my result'\nfor name in *; do # each\n  ls\ndone",
    "script": "%%devbox script --proc 'node --no-warnings'\nfunction f() { return 1; } // none",
    "blueprint": "%%runloop blueprint build science --size small\nFROM ubuntu:24.04\nRUN apt-get update",
    "python": "%%devbox python --in numbers --out total\ntotal = sum(numbers) # all\nimport os",
    "json": '%%devbox write --mode 644 app/config.json\n{"sizes": [1, true]}',
    "text": "%%devbox write notes\nfor text in plain: import nothing",
    "notebook": "%%time\nfor name in []: pass # each\nimport os",
}
CREATE = "%load_ext runloop_jupyter\nbox = %devbox create analysis"


@pytest.fixture(scope="module", params=["newest", "oldest", "notebook"])
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    if request.param == "oldest":
        built = hashlib.sha256((ROOT / "ui" / "labextension" / "package.json").read_bytes()).hexdigest()
        packages = (f"jupyterlab=={OLDEST}.*", "ipykernel", "--editable", str(ROOT))
        return FrontEnd(python=str(environment(f".venv-lab-{OLDEST}", *packages, stamp=built)))
    return NOTEBOOK if request.param == "notebook" else LAB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("notebooks")
    write(made, "cells.ipynb", [*CELLS.values()])
    for name in ("first.ipynb", "second.ipynb"):
        write(made, name, [CREATE, "%devbox suspend", "%devbox shutdown analysis"])
    return made


@pytest.fixture(scope="module")
def lab(folder: Path, front_end: FrontEnd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_lab(folder, tmp_path_factory.mktemp("home"), front_end) as address:
        yield address


@pytest.fixture
def notebook(page: Page, lab: str, front_end: FrontEnd) -> Iterator[LabPage]:
    opened = LabPage(page, lab, "first.ipynb", front_end)
    yield opened
    opened.end_kernels()


class LabPage(Notebook):
    """A notebook, and what the extension adds to the page."""

    @property
    def chip(self) -> Locator:
        """The current devbox in the toolbar of the notebook in sight."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .rl-devbox-chip")

    @property
    def sidebar(self) -> Locator:
        """The sidebar."""
        return self.page.locator(".rl-sidebar")

    @property
    def row(self) -> Locator:
        """The row of the devbox in the panel in the sidebar, while that is in sight."""
        return self.sidebar.locator(".rl-panel .rl-row:visible", has_text="analysis")

    def run(self, index: int) -> None:
        """Run one cell to its end."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.wait_until_finished()

    def command(self, label: str) -> None:
        """Run a command by the command palette."""
        self.page.keyboard.press("Control+Shift+C")
        palette = self.page.locator(".lm-CommandPalette:visible")
        palette.locator("input").fill(label)
        palette.locator(".lm-CommandPalette-item", has_text=label).first.click()

    def restart(self) -> None:
        """Restart the kernel."""
        self.menu("Kernel", "Restart Kernel…")
        self.page.locator(".jp-Dialog button.jp-mod-accept").click()

    def word(self, cell: str, text: str) -> str:
        """The colour of the first piece of a cell with this text; that of plain text where it is no piece."""
        found: str = self.cell([*CELLS].index(cell)).evaluate(
            """(cell, text) => {
                const pieces = [...cell.querySelectorAll('.cm-line span')];
                const piece = pieces.find(each => each.textContent.trim() === text);
                return getComputedStyle(piece ?? cell.querySelector('.cm-line')).color;
            }""",
            text,
        )
        return found

    def wait_for_colour(self, cell: str, text: str, colour: str) -> None:
        """Wait until a piece of a cell has a colour: a language that was not used before is loaded first."""
        wait_until(lambda: self.word(cell, text) == colour, lambda: f"{text} of {cell}: {self.word(cell, text)}")


def test_cells_are_read_in_their_own_language_in_colours_of_contrast(
    page: Page, lab: str, front_end: FrontEnd, folder: Path
) -> None:
    before = (folder / "cells.ipynb").read_bytes()
    opened = LabPage(page, lab, "cells.ipynb", front_end)

    def colours() -> list[str]:
        return [opened.word("notebook", word) for word in ("for", "# each", "no such word")]

    wait_until(lambda: len({*colours()}) == 3, lambda: f"keyword, comment and plain text: {colours()}")
    keyword, comment, plain = colours()
    for cell, word, colour in [
        ("exec", "done", keyword),
        ("exec", "# each", comment),
        ("script", "function", keyword),
        ("script", "// none", comment),
        ("blueprint", "FROM", keyword),
        ("python", "import", keyword),
        ("python", "# all", comment),
        ("text", "for", plain),
    ]:
        opened.wait_for_colour(cell, word, colour)
    wait_until(lambda: opened.word("json", "true") != plain, "JSON to be read as such")
    assert opened.word("exec", "%%devbox") == keyword
    assert opened.word("exec", "--timeout") not in (keyword, comment, plain)
    assert (folder / "cells.ipynb").read_bytes() == before
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        the_line_of_a_magic_has_contrast(opened, theme)
    opened.end_kernels()


CONTRASTS = """cell => {
    const luminance = colour => colour.match(/[\\d.]+/g).slice(0, 3)
        .map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const ground = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
    };
    const pieces = [...cell.querySelector(".cm-line").querySelectorAll("span")];
    return pieces.map(piece => {
        const [low, high] = [luminance(getComputedStyle(piece).color), luminance(ground(piece))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    });
}"""


def the_line_of_a_magic_has_contrast(opened: LabPage, theme: str) -> None:
    opened.menu("Settings", "Theme", theme)
    expect(opened.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(opened.cell(0)).to_be_visible()

    def contrasts() -> list[float]:
        found: list[float] = opened.cell(0).evaluate(CONTRASTS)
        return found

    assert len(contrasts()) == 6, theme
    wait_until(lambda: min(contrasts()) >= 4.5, lambda: f"contrast in {theme}: {contrasts()}")


def test_chip_and_sidebar_follow_the_kernel(notebook: LabPage) -> None:
    expect(notebook.chip).to_be_hidden()
    notebook.command("Runloop panel")
    expect(notebook.sidebar).to_contain_text("not loaded in this notebook")
    assert axe(notebook.page, ".rl-sidebar") == []
    notebook.sidebar.get_by_role("button", name="Load it").click()
    expect(notebook.chip).to_have_text("No devbox")
    expect(notebook.sidebar.locator(".rl-panel")).to_be_visible()
    expect(notebook.sidebar).to_contain_text("Using the embedded service")  # no cell could say so

    notebook.run(0)
    expect(notebook.chip).to_have_text("analysis")
    expect(notebook.row).to_have_count(1)
    expect(notebook.chip.get_by_role("button", name="analysis, running")).to_be_visible()
    assert notebook.row.locator(".rl-name").evaluate("name => name.scrollWidth <= name.clientWidth"), "it is cut"
    assert axe(notebook.page, ".rl-devbox-chip") == []
    notebook.run(1)
    expect(notebook.chip.get_by_role("button", name="analysis, suspended")).to_be_visible()

    notebook.page.reload()
    expect(notebook.chip.get_by_role("button", name="analysis, suspended")).to_be_visible()
    notebook.chip.get_by_role("button").click()
    expect(notebook.row).to_have_count(1)
    notebook.run(2)
    expect(notebook.chip).to_have_text("No devbox")

    notebook.restart()
    expect(notebook.chip).to_be_hidden()
    expect(notebook.sidebar).to_contain_text("not loaded in this notebook")
    expect(notebook.sidebar.locator(".rl-panel")).to_have_count(0)
    notebook.wait_for_idle()
    notebook.run(0)
    notebook.wait_for_output(0, "Using the embedded service")  # told to the cell, though the sidebar asks at once
    expect(notebook.row).to_have_count(1)


@pytest.mark.parametrize("front_end", ["newest", "oldest"], indirect=True)
def test_the_sidebar_shows_the_notebook_in_use(notebook: LabPage) -> None:
    page = notebook.page
    notebook.run(0)
    page.locator(".jp-DirListing-item", has_text="second.ipynb").dblclick()
    expect(page.locator(".jp-NotebookPanel")).to_have_count(2)
    page.locator(".lm-TabBar-addButton:visible").first.click()
    page.locator(".jp-LauncherCard", has_text="Runloop panel").click()
    page.locator(".lm-TabBar-tab", has_text="first.ipynb").click()
    expect(notebook.row).to_have_count(1)
    page.locator(".lm-TabBar-tab", has_text="second.ipynb").click()
    expect(notebook.sidebar).to_contain_text("not loaded in this notebook")
    expect(notebook.row).to_have_count(0)
    page.locator(".lm-TabBar-tab", has_text="first.ipynb").click()
    expect(notebook.row).to_have_count(1)
    for name in ("first.ipynb", "second.ipynb"):
        page.locator(".lm-TabBar-tab", has_text=name).locator(".lm-TabBar-tabCloseIcon").click()
        if page.locator(".jp-Dialog").count():
            page.locator(".jp-Dialog button", has_text="Discard").click()
    expect(notebook.sidebar).to_contain_text("Open a notebook")
    expect(notebook.row).to_have_count(0)
